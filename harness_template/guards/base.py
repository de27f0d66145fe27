"""What a guard is. A file `guards/g<number>_<name>.py` with a class `Guard(BaseGuard)` is picked up by tools.py."""

from collections.abc import Awaitable, Callable

from hone_session import Reply, Session

Proceed = Callable[[str, dict], Awaitable[Reply]]


class BaseGuard:
    """Lets everything pass; override what you need. One instance lives as long as its conversation."""

    def __init__(self, session: Session) -> None:
        self.session = session

    async def call(self, proceed: Proceed, name: str, arguments: dict) -> Reply:
        """Answer a tool call: `await proceed(name, arguments)`, or a Reply of your own in its place."""
        return await proceed(name, arguments)

    def heard(self, said: str, answer: str) -> None:
        """Take note of what the agent said and the user answered."""


def refuse(message: str) -> Reply:
    """Make the error a model reads when a guard does not let its call pass."""
    return Reply(content=f"Error: {message}", is_error=True, is_final=False)
