"""Templates are checked at start and filled with whatever a request carries."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from httpbucket.domain.filename import is_marked
from httpbucket.domain.replica import Series, looks_like_replica
from httpbucket.domain.template import Filled, InvalidTemplate, PartlyFilled, ReplicaTemplate

ONE = ReplicaTemplate.parse("by/${TOPIC}")

# Text that is made of what values are mistaken for, and any text at all.
TRICKY = st.lists(
    st.sampled_from(
        [
            "a",
            "-",
            "_",
            ".",
            "/",
            "~",
            "x_y",
            ".latest",
            "_latest",
            "latest",
            "20261121",
            ".1432",
            ".0",
            "~c14cddc033f64b9d",
            "e\u0301",
            "\u00e9",
            "\u202e",
            "\n",
            " ",
            "A",
            "0:",
            "1:a",
        ]
    ),
    max_size=8,
).map("".join)
VALUES = (TRICKY | st.text(max_size=40) | st.text("aé/", max_size=400)).filter(str.strip)


def filled(template: str, **values: str) -> Filled:
    names = {name.replace("_", "-"): value for name, value in values.items()}
    result = ReplicaTemplate.parse(template).fill(names)
    assert isinstance(result, Filled)
    return result


def meant(value: str) -> str:
    """What of a value counts: HTTP drops white space around it, Unicode has one normal form."""
    return unicodedata.normalize("NFC", value.strip(" \t"))


def mistakes(text: str) -> tuple[str, ...]:
    with pytest.raises(InvalidTemplate) as caught:
        ReplicaTemplate.parse(text)
    assert str(caught.value) == "\n".join(caught.value.mistakes)
    return caught.value.mistakes


@pytest.mark.parametrize(
    ("text", "headers"),
    [
        ("user/${USERNAME}/${TOPIC}", ("username", "topic")),
        ("build-${BUILD-ID}", ("build-id",)),
        ("${A}/${a}/${B}", ("a", "b")),
        ("${A}-${B}.d/x", ("a", "b")),
        ("${A}${B}", ("a", "b")),
        ("Straße/日本/हिन्दी/v1.2+b_3@x y/${X-1}", ("x-1",)),
        ("nightly/${RESULT}/${META-BRANCH}/${USER-AGENT}", ("result", "meta-branch", "user-agent")),
        ("/".join(["x"] * 31 + ["${A}"]), ("a",)),
        ("/".join(["${A}"] * 14), ("a",)),
        ("x" * 180 + "${A}", ("a",)),
    ],
)
def test_a_template_names_its_headers_and_prints_as_it_was_written(
    text: str, headers: tuple[str, ...]
) -> None:
    template = ReplicaTemplate.parse(text)
    assert (str(template), template.headers) == (text, headers)
    assert ReplicaTemplate.parse(str(template)) == template


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "names no header"),
        ("user/bob", "names no header"),
        ("../x/${A}", "'..' begins with a dot"),
        ("./${A}", "'.' begins with a dot"),
        (".x/${A}", "begins with a dot"),
        (".${A}", "begins with a dot"),
        ("/etc/${A}", "empty part"),
        ("${A}/", "empty part"),
        ("x//${A}", "empty part"),
        (" x/${A}", "space"),
        ("x /${A}", "space"),
        ("${A} ", "space"),
        ("${A", "outside of a whole"),
        ("A}/${B}", "outside of a whole"),
        ("$A/${B}", "outside of a whole"),
        ("${${A}}", "outside of a whole"),
        ("${A/B}", "outside of a whole"),
        ("{A}/${B}", "outside of a whole"),
        ("a\\b/${A}", "'\\\\'"),
        ("a:b*/${A}", "':' '*'"),
        ("a~b/${A}", "'~'"),
        ("x\u202ey/${A}", "'\\u202e'"),
        ("x\n/${A}", "'\\n'"),
        ("\udcff/${A}", "'\\udcff'"),
        ("${}", "letters, digits and hyphens"),
        ("${A B}", "letters, digits and hyphens"),
        ("${USERNAME:-bob}", "letters, digits and hyphens"),
        ("${É}", "letters, digits and hyphens"),
        ("${USER_NAME}", "gunicorn drops headers with an underscore"),
        ("${Host}", "connection"),
        ("${CONNECTION}", "connection"),
        ("${Transfer-Encoding}", "connection"),
        ("${HTTP2-Settings}", "connection"),
        ("${Authorization}", "secret"),
        ("${Proxy-Authorization}", "secret"),
        ("${COOKIE}", "secret"),
        ("${Set-Cookie}", "secret"),
        ("${X-API-Key}", "secret"),
        ("${Private-Token}", "secret"),
        ("${X-Amz-Security-Token}", "secret"),
        ("${WWW-Authenticate}", "secret"),
        ("${Content-Type}", "describes the body"),
        ("${CONTENT-LENGTH}", "describes the body"),
        ("${Accept-Language}", "set by clients and proxies"),
        ("${X-Forwarded-For}", "set by clients and proxies"),
        ("${Referer}", "set by clients and proxies"),
        ("x.latest/${A}", "looks like the name of a replica"),
        ("x.latest-${A}", "looks like the name of a replica"),
        ("x" * 181 + "/${A}", "more than 180 bytes"),
        ("日" * 61 + "/${A}", "more than 180 bytes"),
        ("x" * 300, "more than 180 bytes"),
        ("/".join(["x" * 100] * 11) + "/${A}", "longer than 1024 bytes"),
        ("/".join(["x"] * 32) + "/${A}", "33 parts"),
        ("/".join(["${A}"] * 15), "2715 bytes"),
    ],
)
def test_a_mistake_is_told_with_its_reason(text: str, reason: str) -> None:
    assert [mistake for mistake in mistakes(text) if reason in mistake]


def test_every_mistake_of_a_template_is_told_once() -> None:
    told = mistakes("../a:b/${USER_NAME}/${Cookie}/${Cookie}/")
    assert len(told) == len(set(told)) == 5
    assert all(sentence.endswith(".") and "\n" not in sentence for sentence in told)


@given(st.text(st.characters(exclude_categories=[])) | st.text("a/.${}_- A"))
def test_any_text_is_a_template_or_a_list_of_printable_mistakes(text: str) -> None:
    try:
        template = ReplicaTemplate.parse(text)
    except InvalidTemplate as error:
        assert error.mistakes
        assert str(error).replace("\n", "").isprintable()
    else:
        assert ReplicaTemplate.parse(str(template)) == template


@pytest.mark.parametrize(
    ("value", "part"),
    [
        ("demo", "demo"),
        ("Demo", "Demo"),
        (" demo\t", "demo"),
        ("a b", "a b"),
        ("a,b", "a,b"),
        ("v1.2", "v1.2"),
        ("%2e%2e", "%2e%2e"),
        ("~bob", "~bob"),
        ("🚀", "🚀"),
        ("日本語", "日本語"),
        ("\u00e9", "\u00e9"),
        ("x" * 180, "x" * 180),
        ("latest", "latest"),
        ("20261121.1432.0", "20261121.1432.0"),
    ],
)
def test_a_safe_value_is_kept_as_it_is(value: str, part: str) -> None:
    assert filled("by/${TOPIC}", topic=value) == Filled(("by", part))


@pytest.mark.parametrize(
    ("value", "front"),
    [
        ("..", "_.."),
        (".", "_."),
        ("../../x", "_.._.._x"),
        ("/etc", "_etc"),
        ("a/b", "a_b"),
        ("a\\b", "a_b"),
        (".hidden", "_.hidden"),
        ("x" * 5000, "x" * 163),
        ("\u00e9" * 91, "\u00e9" * 81),
        ("\u202eabc", "_abc"),
        ("a\0b", "a_b"),
        ("a\r\nb", "a__b"),
        ("\ud800", "_"),
        ("results.latest", "results_latest"),
        ("results.latest-pass.xml", "results_latest-pass_xml"),
        ("r.20261121.1432.0.xml", "r_20261121_1432_0_xml"),
        ("a_b~c14cddc033f64b9d", "a_b~c14cddc033f64b9d"),
    ],
)
def test_an_unsafe_value_becomes_a_marked_part_and_is_told(value: str, front: str) -> None:
    result = filled("by/${TOPIC}", topic=value)
    part = result.parts[1]
    assert is_marked(part)
    assert part[:-17] == front
    assert [(one.header, one.value, one.part) for one in result.changed] == [("topic", value, part)]
    assert len(str(result.changed[0])) < 500
    assert str(result.changed[0]).isprintable()


def test_a_value_in_another_normal_form_comes_to_the_same_part_and_is_told() -> None:
    composed, decomposed = filled("${A}", a="\u00e9"), filled("${A}", a="e\u0301")
    assert composed.parts == decomposed.parts == ("\u00e9",)
    assert (len(composed.changed), len(decomposed.changed)) == (0, 1)


@pytest.mark.parametrize("nothing", ["", " ", "\t ", "\u3000", "\n"])
def test_an_empty_value_counts_as_missing(nothing: str) -> None:
    template = ReplicaTemplate.parse("user/${USERNAME}/${TOPIC}")
    partly = template.fill({"username": "bob", "topic": nothing})
    assert partly == PartlyFilled(str(template), ("username",), ("topic",))
    assert template.fill({"username": nothing}) is None


def test_a_request_with_some_headers_is_told_which_are_missing() -> None:
    template = ReplicaTemplate.parse("${A}/${B}/${C}")
    assert str(template.fill({"b": "1", "x": "2"})) == (
        "No replica under ${A}/${B}/${C}: the request has b but not a, c."
    )


def test_a_request_with_none_of_the_headers_does_not_match() -> None:
    assert ONE.fill({}) is None
    assert ONE.fill({"username": "bob"}) is None


def test_the_directory_is_the_parts_in_order() -> None:
    result = filled("user/${USERNAME}/build-${BUILD-ID}.d", username="bob", build_id="7")
    assert result.directory == "user/bob/build-7.d"


@pytest.mark.parametrize(
    ("template", "values", "part"),
    [
        ("${A}-${B}", {"a": "gcc", "b": "12"}, "gcc-12"),
        ("${A}-${B}", {"a": "gcc", "b": "12-1"}, "gcc-12-1"),
        ("${A}-${B}", {"a": "gcc-12", "b": "1"}, "gcc-12-1~"),
        ("${A}${B}", {"a": "x", "b": "yz"}, "xyz"),
        ("${A}${B}", {"a": "xy", "b": "z"}, "xyz~"),
        ("x.${A}", {"a": "latest"}, "x_latest~"),
        ("e${A}", {"a": "\u0301"}, "\u00e9~"),
        ("v-${A}", {"a": ".x"}, "v-.x"),
        ("${A}.d", {"a": ".."}, "_...d~"),
        ("${A}x", {"a": "\u00e9/"}, "\u00e9_x~"),
    ],
)
def test_a_part_of_literals_and_values_is_kept_or_marked_as_a_whole(
    template: str, values: dict[str, str], part: str
) -> None:
    shown = filled(template, **values).parts[0]
    assert (shown[:-16] if is_marked(shown) else shown) == part


def test_literals_stay_whole_when_values_are_cut() -> None:
    literal = "x" * 90
    part = filled(f"{literal}${{A}}{literal}${{B}}", a="a" * 5000, b="b" * 5000).parts[0]
    assert part.startswith(f"{literal}aaa")
    assert f"a{literal}b" in part
    assert len(part) <= 255


@given(VALUES, VALUES)
def test_different_values_never_give_the_same_part(one: str, other: str) -> None:
    same = filled("by/${A}", a=one).parts == filled("by/${A}", a=other).parts
    assert same == (meant(one) == meant(other))


@given(VALUES)
def test_a_value_that_is_itself_a_changed_part_gives_another(value: str) -> None:
    part = filled("${A}", a=value).parts[0]
    again = filled("${A}", a=part)
    assert (again.parts[0] == part) == (part == meant(value))


SHARED = ["${A}-${B}", "${A}${B}", "a${A}.${B}a", "${A}/${B}", "${B}_${A}_${B}"]


@given(st.sampled_from(SHARED), st.tuples(VALUES, VALUES), st.tuples(VALUES, VALUES))
def test_different_values_never_share_a_part_with_literals(
    template: str, one: tuple[str, str], other: tuple[str, str]
) -> None:
    same = (
        filled(template, a=one[0], b=one[1]).parts == filled(template, a=other[0], b=other[1]).parts
    )
    assert same == (tuple(map(meant, one)) == tuple(map(meant, other)))


@given(st.sampled_from(["${A}-${B}", "${A}${B}"]), st.text("a-", min_size=3, max_size=6), st.data())
def test_one_text_cut_in_two_ways_gives_two_parts(
    template: str, text: str, data: st.DataObject
) -> None:
    cuts = st.integers(1, len(text) - 1)
    one, other = data.draw(cuts), data.draw(cuts)
    first = filled(template, a=text[:one], b=text[one:])
    second = filled(template, a=text[:other], b=text[other:])
    assert (first.parts == second.parts) == (one == other)


@given(
    st.sampled_from(["${A}", "x.${A}", "${A}.x", "x" * 180 + "${A}${B}", *SHARED]), VALUES, VALUES
)
def test_whatever_the_values_each_part_is_safe(template: str, one: str, other: str) -> None:
    result = filled(template, a=one, b=other)
    for part in result.parts:
        assert 1 <= len(part.encode()) <= 255
        assert not set(part) & set("/\\\0\n\r\u202e\u200f")
        assert not part.startswith(".")
        assert not looks_like_replica(part)
    assert len(result.directory.encode()) <= 2560


@given(VALUES)
def test_a_lone_value_takes_at_most_180_bytes(value: str) -> None:
    assert len(filled("${A}", a=value).parts[0].encode()) <= 180


@given(VALUES, st.sampled_from(["results.xml", "results", "a.latest"]))
def test_a_value_is_never_a_name_that_replicas_have(value: str, filename: str) -> None:
    series = Series.of_file(filename)
    for name in (series.latest(), series.latest("pass"), str(series.numbered("20261121.1432", 0))):
        assert filled("${A}", a=value).parts[0] != name
        assert filled("${A}", a=name).parts[0] != name
