"""What the model sees: the system prompt, the history, and what is said again at the end."""

from pathlib import Path

from hone_session import Session

PROMPTS = Path(__file__).parent / "prompts"


class Context:
    """The conversation so far."""

    def __init__(self, session: Session) -> None:
        self.system = system_prompt(session)
        self.turns: list[dict] = [{"role": "user", "content": session.first_message or "Begin."}]

    def messages(self) -> list[dict]:
        """Return the messages of the next model call."""
        system = {"role": "system", "content": self.system}
        return [system, *history(self.turns), *reminders(self.turns)]

    def add_assistant(self, message) -> None:
        """Remember what the model said or called."""
        turn = {"role": "assistant", "content": message.content}
        if message.tool_calls:
            turn["tool_calls"] = [
                {
                    "id": call.id,
                    "type": "function",
                    "function": {"name": call.function.name, "arguments": call.function.arguments},
                }
                for call in message.tool_calls
            ]
        self.turns.append(turn)

    def add_tool_result(self, call_id: str, content: str) -> None:
        """Remember what a tool answered."""
        self.turns.append({"role": "tool", "tool_call_id": call_id, "content": content})

    def add_user(self, content: str) -> None:
        """Remember what the user answered."""
        self.turns.append({"role": "user", "content": content})


def system_prompt(session: Session) -> str:
    """Fill in prompts/system.md and append prompts/rules/*.md in the order of their names."""
    text = (PROMPTS / "system.md").read_text(encoding="utf-8")
    text = text.replace("{instructions}", session.instructions).replace("{policy}", session.policy)
    rules = [path.read_text(encoding="utf-8").strip() for path in sorted((PROMPTS / "rules").glob("*.md"))]
    return "\n\n".join([text.strip(), *rules])


def history(turns: list[dict]) -> list[dict]:
    """Choose what of the conversation is sent: all of it."""
    return list(turns)


def reminders(turns: list[dict]) -> list[dict]:
    """Choose what is said again after the conversation: nothing."""
    return []
