"""Small logs in every format, written by hand."""

from __future__ import annotations

import json
from pathlib import Path

TOOLS = [
    {
        "type": "function",
        "function": {
            "name": "find_order",
            "description": "Find an order.",
            "parameters": {"type": "object", "properties": {"order_id": {"type": "string"}}, "required": ["order_id"]},
        },
    }
]


def call(name="find_order", arguments='{"order_id": "W1"}', call_id="c1"):
    return {"id": call_id, "type": "function", "function": {"name": name, "arguments": arguments}}


def said(role, content, **more):
    return {"role": role, "content": content, **more}


CHAT = [
    said("system", "You help."),
    said("user", "Where is my order W1? I am zoe@example.com"),
    said("assistant", None, tool_calls=[call()]),
    said("tool", '{"status": "sent"}', tool_call_id="c1"),
    said("assistant", "It was sent."),
    said("user", "Thanks"),
]
LOST = [
    said("user", "Where is my order W1?"),
    *(
        message
        for n in range(3)
        for message in (
            said("assistant", None, tool_calls=[call("track_parcel", f'{{"order_id": "W{n}"}}', f"c{n}")]),
            said("tool", "Error: unknown tool track_parcel", tool_call_id=f"c{n}"),
        )
    ),
    said("assistant", "I am unable to help with that."),
    said("user", "Pity"),
]
ITEMS = {
    "instructions": "You help.",
    "input": "Where is W1?",
    "output": [
        {"type": "reasoning", "summary": []},
        {"type": "function_call", "call_id": "a", "name": "find_order", "arguments": '{"order_id": "W1"}'},
        {"type": "function_call", "call_id": "b", "name": "find_order", "arguments": '{"order_id": "W2"}'},
        {"type": "function_call_output", "call_id": "b", "output": "Error: no order W2"},
        {"type": "function_call_output", "call_id": "a", "output": "sent"},
        {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "It was sent."}]},
    ],
}
ANTHROPIC = [
    said("user", "Where is W1?"),
    said(
        "assistant",
        [
            {"type": "text", "text": "Let me look."},
            {"type": "tool_use", "id": "t", "name": "find_order", "input": {"order_id": "W1"}},
        ],
    ),
    said(
        "user",
        [
            {
                "type": "tool_result",
                "tool_use_id": "t",
                "content": [{"type": "text", "text": "no such order"}],
                "is_error": True,
            }
        ],
    ),
    said("assistant", [{"type": "text", "text": "There is none."}]),
]
TAU = {
    "task_id": 3,
    "reward": 0.0,
    "trial": 0,
    "info": {
        "task": {"instruction": "SECRET INSTRUCTION", "actions": [{"name": "cancel_order", "kwargs": {"id": "GOLD"}}]},
        "reward_info": {"reward": 0.0, "actions": [{"name": "cancel_order", "kwargs": {"id": "GOLD"}}]},
    },
    "traj": CHAT,
}
TAU2 = {
    "timestamp": "2026-01-01",
    "info": {},
    "tasks": [{"id": "1", "evaluation_criteria": {"actions": [{"name": "GOLD"}]}}],
    "simulations": [
        {
            "id": "s1",
            "task_id": "1",
            "termination_reason": "user_stop",
            "reward_info": {
                "reward": 0.0,
                "db_check": {"db_match": False, "db_reward": 0.0},
                "action_checks": [
                    {"action": {"name": "cancel_order", "arguments": {"id": "GOLD"}}, "action_match": False}
                ],
                "communicate_checks": [{"info": "GOLD", "met": False, "justification": "GOLD"}],
                "nl_assertions": None,
            },
            "messages": [
                said("assistant", "Hi! How can I help?", turn_idx=0, timestamp="t"),
                said("user", "Cancel W1", cost=0.0),
                said(
                    "assistant",
                    None,
                    tool_calls=[
                        {"id": "x", "name": "find_order", "arguments": {"order_id": "W1"}, "requestor": "assistant"}
                    ],
                    usage={"prompt_tokens": 10, "completion_tokens": 2},
                ),
                {"id": "x", "role": "tool", "content": "gone", "requestor": "assistant", "error": True},
                said("user", None, tool_calls=[{"id": "u", "name": "reboot", "arguments": {}, "requestor": "user"}]),
                {"id": "u", "role": "tool", "content": "ok", "requestor": "user", "error": False},
                said("assistant", "Done"),
                said("user", "###STOP###"),
            ],
        },
        {
            "id": "s2",
            "task_id": "1",
            "termination_reason": "user_stop",
            "reward_info": {"reward": 1.0},
            "messages": CHAT,
        },
        {
            "id": "s3",
            "task_id": "2",
            "termination_reason": "max_steps",
            "reward_info": {"reward": 0.0},
            "messages": CHAT,
        },
        {
            "id": "s4",
            "task_id": "2",
            "termination_reason": "infrastructure_error",
            "reward_info": None,
            "messages": CHAT,
        },
    ],
}
HONE = {
    "rollout": {
        "job": {
            "tree": "0" * 40,
            "task": {"id": "t-1", "split": "train", "group": "g", "slices": []},
            "purpose": "mine",
            "trial": 0,
        },
        "status": "failed",
        "score": 0.0,
        "checks": [{"name": "final_state", "is_passed": False, "detail": "missing write: cancel_order"}],
        "usage": {"input_tokens": 3, "usd": None},
        "note": "",
    },
    "spans": [
        {
            "index": 0,
            "kind": "model_call",
            "name": "m",
            "input": {"messages": [], "tools": TOOLS},
            "output": {"role": "assistant"},
            "is_error": False,
            "usage": {"input_tokens": 3, "output_tokens": 1, "usd": None, "n_calls": 1},
            "wall_s": 0.5,
        },
        {
            "index": 1,
            "kind": "tool_call",
            "name": "find_order",
            "input": {"order_id": "W1"},
            "output": "sent",
            "is_error": False,
            "usage": {},
            "wall_s": 0.1,
        },
        {
            "index": 2,
            "kind": "user_turn",
            "name": "user",
            "input": "I cannot cancel it.",
            "output": "Pity",
            "is_error": False,
        },
    ],
}
LEDGER = [
    [0, "tool_call", "find_order", {"order_id": "W1"}, "sent", False, [0, 0, 0, 0, 0.0, 0, 0]],
    [1, "check", "final_state", "why", False, False, [0, 0, 0, 0, 0.0, 0, 0]],
]


def write(folder: Path, name: str, *values, as_lines: bool = False) -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = as_lines or path.suffix != ".json"
    path.write_text("".join(f"{json.dumps(v)}\n" for v in values) if lines else json.dumps(values[0], indent=2))
    return path
