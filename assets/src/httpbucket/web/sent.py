"""What an answer sent of a file, for a server that may send it again."""

from __future__ import annotations

from dataclasses import dataclass

from httpbucket.services.see_again import SeeAgain, Seen

#: Under this key the server puts a function into the WSGI environment, which takes a `Sent`.
TELL_SENT = "httpbucket.tell_sent"


@dataclass(frozen=True, slots=True)
class Sent:
    """What an answer was made from, and the bytes of the file that it carries."""

    seen: Seen
    start: int
    stop: int

    @property
    def size(self) -> int:
        """How many bytes those are; none in answers without a body."""
        return self.stop - self.start

    def had_settled(self, *, before: float) -> bool:
        """Whether what it was made from had, before this moment, in Unix time."""
        return self.seen.sighting.had_settled(before=before)


class SendAgain:
    """Reads what was sent before. Never waits."""

    def __init__(self, see_again: SeeAgain) -> None:
        self._see_again = see_again

    def read(self, sent: Sent) -> bytes | None:
        """The same bytes, if the same answer would be given now; None where that is not sure."""
        return self._see_again.read(sent.seen, sent.start, sent.stop)
