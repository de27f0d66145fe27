"""The tool registry: what the model may call, and the one place every call goes through."""

import importlib
import json
from functools import partial
from pathlib import Path

from hone_session import Reply, Session

GUARDS = Path(__file__).parent / "guards"


class Registry:
    """The tools of one session, behind its guards."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self.guards = load_guards(session)

    def specs(self) -> list[dict]:
        """Return the tools as the model is shown them."""
        return [
            {
                "type": "function",
                "function": {
                    "name": tool["name"],
                    "description": describe(tool),
                    "parameters": tool["parameters"],
                },
            }
            for tool in self.session.tools
        ]

    async def execute(self, name: str, raw_arguments: str) -> Reply:
        """Run one tool call as the model wrote it; whatever is wrong with it comes back as an error to read."""
        try:
            arguments = json.loads(raw_arguments or "{}")
        except ValueError as error:
            return Reply(content=f"Error: the arguments are not valid JSON ({error})", is_error=True, is_final=False)
        if not isinstance(arguments, dict):
            return Reply(content="Error: the arguments are not a JSON object", is_error=True, is_final=False)

        proceed = self.session.call
        for guard in reversed(self.guards):
            proceed = partial(guard.call, proceed)
        return await proceed(name, arguments)

    async def say(self, text: str) -> Reply:
        """Say something to the user and let the guards hear both sides; without a user it is the answer."""
        if not self.session.first_message:
            return await self.session.submit(text)
        answer = await self.session.say(text)
        for guard in self.guards:
            guard.heard(text, answer.content)
        return answer


def describe(tool: dict) -> str:
    """Return what the model is told about one tool."""
    return tool["description"]


def load_guards(session: Session) -> list:
    """Make one of each `guards/g*.py`, in the order of their names; the first one sees a call first."""
    names = sorted(path.stem for path in GUARDS.glob("g*.py"))
    return [importlib.import_module(f"guards.{name}").Guard(session) for name in names]
