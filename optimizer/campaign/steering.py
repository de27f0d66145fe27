"""Between two steps: read what people wish, and let it take effect.

A further verb of the control channel is a further line in `Steering.__init__`. Its handler depends on nothing but the
message and the loop's own state, since a resumed campaign hands it the same message at the same step again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from optimizer.campaign.journal import Journal
from optimizer.campaign.reviewing import ReviewDesk
from optimizer.ledger.control import Message, Payload, ReviewPayload, payload_of

Handler = Callable[[Payload, str], str]
"""Takes a parsed payload and who sent it; says in a sentence what became of it."""


class Steering:
    """The campaign's end of the control channel."""

    def __init__(self, journal: Journal, desk: ReviewDesk, report: Callable[[str], None]) -> None:
        """`report` is told of lines that are no messages, and of whatever else a person should see."""
        self.desk = desk
        self._journal = journal
        self.report = report
        self._handlers: Mapping[str, Handler] = {"review": self._review}

    def read(self) -> None:
        """Take every message that arrived since the last step.

        Raises:
            LedgerError: the channel or the ledger cannot be used.
        """
        mail = self._journal.mail()
        for problem in mail.problems:
            self.report(problem)
        for message in mail.messages:
            self._journal.wished(self._handle(message))

    def _handle(self, message: Message) -> str:
        return self._handlers[message.verb](payload_of(message), message.who)

    def _review(self, payload: Payload, who: str) -> str:
        assert isinstance(payload, ReviewPayload)
        return self.desk.take(payload, who)
