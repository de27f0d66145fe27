"""A model that hone itself asks, with the campaign's budget and memory: money set aside before, settled after."""

from __future__ import annotations

from optimizer.domain.budget import Budget, Spend
from optimizer.domain.errors import ModelError, ModelUnavailableError
from optimizer.domain.json import canonical_json
from optimizer.domain.model import LanguageModel, Message, ModelReply, ModelTool
from optimizer.domain.trace import Usage
from optimizer.ledger.answers import Answers, Purpose, RecordedAnswer
from optimizer.models.asking import question_hash
from optimizer.models.prices import ModelPrice


class Account:
    """Who pays, and where it is written down. One per session."""

    def __init__(self, *, answers: Answers, budget: Budget, price: ModelPrice | None) -> None:
        """`price`: None when nobody knows it; then no USD limit may be set."""
        self.answers = answers
        self.budget = budget
        self.price = price
        self._settled: set[str] = set()

    def is_first(self, key: str) -> bool:
        """Whether this session's budget has not borne this answer yet; from now on it has."""
        is_first = key not in self._settled
        self._settled.add(key)
        return is_first


class PaidModel:
    """A language model for one purpose and subject; what was answered before is taken from the ledger.

    A resumed campaign settles recorded answers again, so that its account stands where it stood; within one session
    the same question about the same subject has the same answer, and is paid once.
    """

    def __init__(
        self, model: LanguageModel, account: Account, *, purpose: Purpose, subject: str, keeps_absence: bool = True
    ) -> None:
        """Ask `model` about `subject`.

        `keeps_absence`: a provider that stayed out of reach is not asked this again, so that a resume takes the turns
        that the campaign took without the answer. False where nothing went on without it.
        """
        self.name = model.name
        self._model = model
        self._account = account
        self._purpose: Purpose = purpose
        self._subject = subject
        self._keeps_absence = keeps_absence

    async def complete(
        self, messages: tuple[Message, ...], *, tools: tuple[ModelTool, ...] = (), max_output_tokens: int = 8192
    ) -> ModelReply:
        """One call.

        Raises:
            BudgetExhaustedError: its worst case is not affordable.
            ModelUnavailableError, ModelError: as the model.
        """
        budget = self._account.budget
        key = question_hash(self.name, messages, tools, max_output_tokens)
        reservation = budget.reserve(worst_case(messages, tools, max_output_tokens, self._account.price))
        spent = Spend()
        try:
            recorded = self._account.answers.answer(self._purpose, self._subject, key)
            answer = recorded or await self._asked(key, messages, tools, max_output_tokens)
            if answer.reply is not None and self._account.is_first(f"{self._purpose}/{self._subject}/{key}"):
                spent = _spend(answer.reply.usage)
        finally:
            budget.settle(reservation, spent)
        if answer.reply is None:
            raise ModelUnavailableError(answer.error) if answer.is_absent else ModelError(answer.error)
        return answer.reply

    async def _asked(
        self, key: str, messages: tuple[Message, ...], tools: tuple[ModelTool, ...], max_output_tokens: int
    ) -> RecordedAnswer:
        reply, error, is_absent = None, "", False
        try:
            reply = await self._model.complete(messages, tools=tools, max_output_tokens=max_output_tokens)
        except ModelError as failed:
            is_absent = isinstance(failed, ModelUnavailableError)
            if is_absent and not self._keeps_absence:
                raise
            error = str(failed)
        answer = RecordedAnswer(
            purpose=self._purpose,
            subject=self._subject,
            question_hash=key,
            model=self.name,
            reply=reply,
            error=error,
            is_absent=is_absent,
        )
        self._account.answers.record_answer(answer)
        return answer


def worst_case(
    messages: tuple[Message, ...], tools: tuple[ModelTool, ...], max_output_tokens: int, price: ModelPrice | None
) -> Spend:
    """What a call may take at most: no token is shorter than a byte, and the answer may be as long as it is allowed."""
    texts = [message.text for message in messages]
    texts += [canonical_json([tool.name, tool.description, tool.parameters]) for tool in tools]
    n_bytes = sum(len(text.encode("utf-8", "surrogatepass")) for text in texts) + 64 * len(messages)
    usage = Usage(input_tokens=n_bytes, output_tokens=max_output_tokens)
    return Spend(usd=0.0 if price is None else price.usd(usage), tokens=usage.tokens)


def _spend(usage: Usage) -> Spend:
    return Spend(usd=usage.usd or 0.0, tokens=usage.tokens)
