"""The loop: show the model the conversation, do what it says, until the conversation is over."""

from context import Context
from hone_session import Session
from openai import AsyncOpenAI
from tools import Registry

MAX_STEPS = 24
"""Model calls before the agent stops by itself."""


async def run(session: Session) -> None:
    """Handle one conversation. Return when it is over."""
    client = AsyncOpenAI(max_retries=0)  # OPENAI_BASE_URL is set for us; what listens there retries by itself
    registry = Registry(session)
    context = Context(session)

    for _ in range(MAX_STEPS):
        completion = await client.chat.completions.create(
            model=session.model,
            messages=context.messages(),
            tools=registry.specs(),
        )
        message = completion.choices[0].message
        context.add_assistant(message)

        if message.tool_calls:
            for call in message.tool_calls:
                result = await registry.execute(call.function.name, call.function.arguments)
                context.add_tool_result(call.id, result.content)
                if result.is_final:
                    return
            continue

        answer = await registry.say(message.content or "Could you say that again, please?")
        if answer.is_final:
            return
        context.add_user(answer.content)

    print(f"stopped by itself after {MAX_STEPS} model calls")
    await session.submit()
