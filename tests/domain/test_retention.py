"""How long uploads are kept."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from httpbucket.domain.errors import InvalidRetention
from httpbucket.domain.retention import Places, Retention, TemplateRetention
from httpbucket.domain.template import ReplicaTemplate
from httpbucket.domain.upload import Record, Replica
from tests.examples import NOW, descriptor, record_of

USER, BUILD = map(ReplicaTemplate.parse, ("user/${USERNAME}", "build/${BUILD}"))


class TestExpiry:
    RETENTION = Retention(
        days=100, templates=(TemplateRetention(USER, days=5), TemplateRetention(BUILD, days=20))
    )

    @pytest.mark.parametrize(
        ("headers", "asked", "days"),
        [
            ({}, None, 100),
            ({}, 7, 7),
            ({"username": "bob"}, None, 5),
            ({"username": "bob", "build": "1"}, None, 20),
            ({"username": "bob"}, 50, 50),
            ({"elsewhere": "x"}, None, 100),
        ],
    )
    def test_the_client_says_it_then_the_templates_then_the_operator(
        self, headers: dict[str, str], asked: int | None, days: int
    ) -> None:
        expires = self.RETENTION.expires(NOW, headers, asked=asked)
        assert expires == NOW + timedelta(days=days)

    def test_without_any_rule_it_is_for_ever(self) -> None:
        retention = Retention(templates=(TemplateRetention(USER, keep=3),))
        assert retention.expires(NOW, {"username": "bob"}, asked=None) is None

    def test_a_time_beyond_the_calendar_is_for_ever(self) -> None:
        assert Retention(days=999_999_999).expires(NOW, {}, asked=None) is None
        assert Retention().expires(NOW, {}, asked=999_999_9) is None


class TestAsking:
    @pytest.mark.parametrize(("text", "days"), [("", None), (" ", None), ("1", 1), (" 030 ", 30)])
    def test_a_whole_number_is_read(self, text: str, days: int | None) -> None:
        assert Retention(max_days=30).parse_asked(text) == days

    @pytest.mark.parametrize("text", ["0", "-1", "1.5", "x", "1d", "٣", "9999999", "1 2"])
    def test_anything_else_is_refused(self, text: str) -> None:
        with pytest.raises(InvalidRetention):
            Retention().parse_asked(text)

    def test_more_than_the_operator_allows_is_refused(self) -> None:
        with pytest.raises(InvalidRetention) as refusal:
            Retention(max_days=30).parse_asked("31")
        assert refusal.value.detail == {"retention_max_days": 30}


class TestPlaces:
    def test_the_newest_of_a_series_have_places(self) -> None:
        places = Places(Retention(templates=(TemplateRetention(USER, keep=2),)))
        assert [places.take(upload(number, "user/bob")) for number in range(4)] == [
            *(False, False),
            *(True, True),
        ]

    def test_each_directory_and_each_name_is_counted_alone(self) -> None:
        places = Places(Retention(templates=(TemplateRetention(USER, keep=1),)))
        uploads = (
            upload(0, "user/bob"),
            upload(1, "user/eve"),
            upload(2, "user/bob", name="other"),
            upload(3, "user/bob"),
        )
        assert [places.take(one) for one in uploads] == [False, False, False, True]

    def test_a_place_in_another_directory_is_enough(self) -> None:
        templates = (TemplateRetention(USER, keep=1), TemplateRetention(BUILD, keep=2))
        places = Places(Retention(templates=templates))
        taken = [places.take(upload(number, "user/bob", "build/1")) for number in range(3)]
        assert taken == [False, False, True]

    def test_a_directory_where_all_are_kept_keeps_all(self) -> None:
        templates = (TemplateRetention(USER, keep=1), TemplateRetention(BUILD))
        places = Places(Retention(templates=templates))
        assert not any(places.take(upload(number, "user/bob", "build/1")) for number in range(3))

    def test_an_upload_without_replicas_asks_for_no_place(self) -> None:
        places = Places(Retention(templates=(TemplateRetention(USER, keep=1),)))
        assert not any(places.take(upload(number)) for number in range(3))


def upload(number: int, *directories: str, name: str = "a") -> Record:
    headers = {"user": "username", "build": "build"}
    return replace(
        record_of(descriptor(b"x"), number=number),
        replicas=tuple(
            Replica(f"replica/{one}/{name}.20261121.1432.{number}.xml", "uploaded")
            for one in directories
        ),
        headers={headers[one.split("/")[0]]: one.split("/")[1] for one in directories},
    )
