"""The template as it ships, on a stage."""

from __future__ import annotations

from pathlib import Path

import pytest

from optimizer.propose.playbook.template import template_files
from tests.harness_template.stage import Call, FakeModel, FakeSession, Reply, call, error, play, staged

pytestmark = pytest.mark.anyio


async def perform(folder: Path, session: FakeSession, model: FakeModel) -> None:
    await play(template_files(), folder, session, model)


async def test_it_calls_tools_talks_and_returns_when_the_conversation_is_over(tmp_path: Path) -> None:
    session = FakeSession(
        results={"get_order": [Reply(content='{"item": "kettle"}')]},
        answers=[Reply(content="Yes, refund it.")],
    )
    model = FakeModel(moves=[call("get_order", order_id="#77"), "Shall I refund the kettle?", "Done."])

    await perform(tmp_path, session, model)

    assert session.calls == [("get_order", {"order_id": "#77"})]
    assert session.said == ["Shall I refund the kettle?", "Done."]
    assert session.submitted == []
    roles = [message["role"] for message in model.sent(-1)]
    assert roles == ["system", "user", "assistant", "tool", "assistant", "user"]
    assert model.sent(-1)[3]["content"] == '{"item": "kettle"}'


async def test_the_system_prompt_holds_instructions_policy_and_rules_verbatim(tmp_path: Path) -> None:
    model = FakeModel(moves=["Hello."])

    await perform(tmp_path, FakeSession(policy="Braces {like this} stay."), model)

    system = str(model.sent(0)[0]["content"])
    assert "You work for a shop." in system
    assert "Braces {like this} stay." in system
    assert system.endswith("answer in the customer's language.")


async def test_all_calls_of_one_turn_are_answered_under_their_own_ids(tmp_path: Path) -> None:
    model = FakeModel(moves=[(call("get_order", order_id="#1"), call("get_order", order_id="#2")), "Done."])

    await perform(tmp_path, FakeSession(), model)

    assert [message.get("tool_call_id") for message in model.sent(1)[3:]] == ["call_1_0", "call_1_1"]


@pytest.mark.parametrize("raw", ["{not json", '["a"]', "null", '"text"'])
async def test_malformed_arguments_come_back_as_an_error_to_read(tmp_path: Path, raw: str) -> None:
    session = FakeSession()
    model = FakeModel(moves=[Call(name="get_order", arguments=raw), "Done."])

    await perform(tmp_path, session, model)

    assert session.calls == []
    assert str(model.sent(1)[-1]["content"]).startswith("Error: the arguments are not")


async def test_empty_arguments_are_an_empty_object(tmp_path: Path) -> None:
    session = FakeSession()

    await perform(tmp_path, session, FakeModel(moves=[Call(name="get_order", arguments=""), "Done."]))

    assert session.calls == [("get_order", {})]


async def test_an_unknown_tool_is_left_to_the_environment(tmp_path: Path) -> None:
    session = FakeSession()
    model = FakeModel(moves=[call("fetch_order"), "Done."])

    await perform(tmp_path, session, model)

    assert session.calls == [("fetch_order", {})]
    assert model.sent(1)[-1]["content"] == "Error: unknown tool"


async def test_it_returns_at_once_when_a_tool_ends_the_conversation(tmp_path: Path) -> None:
    session = FakeSession(results={"escalate_to_human": [Reply(content="over", is_final=True)]})
    model = FakeModel(moves=[(call("escalate_to_human", summary="x"), call("get_order", order_id="#1"))])

    await perform(tmp_path, session, model)

    assert [name for name, _ in session.calls] == ["escalate_to_human"]
    assert session.said == []


async def test_it_stops_by_itself_at_the_step_limit(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    session = FakeSession(results={"get_order": [error("busy")]})
    model = FakeModel(moves=[call("get_order", order_id="#77")])

    await perform(tmp_path, session, model)

    assert len(model.requests) == 24
    assert session.submitted == [""]
    assert "24 model calls" in capsys.readouterr().out


async def test_an_empty_reply_is_not_said_to_the_customer(tmp_path: Path) -> None:
    session = FakeSession()

    await perform(tmp_path, session, FakeModel(moves=[""]))

    assert session.said == ["Could you say that again, please?"]


async def test_without_a_user_what_it_says_is_submitted_as_the_answer(tmp_path: Path) -> None:
    session = FakeSession(first_message="")

    await perform(tmp_path, session, FakeModel(moves=["42"]))

    assert (session.said, session.submitted) == ([], ["42"])


async def test_it_reaches_the_model_through_the_environment_it_is_given(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: dict[str, object] = {}

    def client(**settings: object) -> FakeModel:
        seen.update(settings)
        return FakeModel(moves=["Hello."])

    monkeypatch.setenv("OPENAI_BASE_URL", "http://127.0.0.1:1/v1")
    with staged(template_files(), tmp_path) as agent:
        agent.AsyncOpenAI = client  # type: ignore[attr-defined]
        await agent.run(FakeSession())

    assert "base_url" not in seen
    assert seen["max_retries"] == 0
