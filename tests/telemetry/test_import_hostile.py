"""Broken and hostile files: named with file and line, counted, and never in the way of the rest."""

from __future__ import annotations

import json
import os

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from optimizer.domain.errors import ConfigError
from optimizer.telemetry import files
from optimizer.telemetry.imported import ImportedRun, Origin, Problem, Record
from optimizer.telemetry.importing import import_runs, runs_of
from optimizer.telemetry.redact import Redactor
from optimizer.telemetry.redact_run import redacted
from tests.telemetry.logs import CHAT, HONE, ITEMS, TAU, TAU2, said, write

GOOD = json.dumps({"messages": CHAT}).encode()


def read(path) -> tuple[list[ImportedRun], list[Problem]]:
    found = list(import_runs(path))
    return [o for o in found if isinstance(o, ImportedRun)], [o for o in found if isinstance(o, Problem)]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b"{nonsense", "not JSON"),
        (b"\xff\xfe\x00", "not UTF-8"),
        (b"[" * 100_000, "nested deeper"),
        (b"[" * 100 + b"]" * 100, "nested deeper"),
        (b'{"messages": [1e999]}', "beyond the range"),
        (b'{"messages": [' + b"9" * 5000 + b"]}", "not JSON"),
        (b"17", "no format that is known: a number"),
        (b'{"a": 1, "b": 2}', "no format that is known: an object with a, b"),
        (b'{"messages": []}', "no list of messages"),
        (b'{"messages": [{"role": "wizard", "content": ""}]}', "message 0: role"),
        (b'{"messages": [{"role": "assistant", "tool_calls": [{"function": {}}]}]}', "tool_calls.0.function.name"),
        (b'{"messages": ["x"]}', "message 0"),
        (b'{"task_id": 1, "reward": "x", "traj": []}', "no tau-bench run: reward"),
        (b'{"simulations": [7]}', "simulation 0"),
        (b'{"rollout": {}, "spans": []}', "no trace of ours"),
        (b'{"spans": [{"kind": "spell", "name": "x"}]}', "no trace of ours: kind"),
    ],
)
def test_a_bad_line_is_named_and_the_others_are_read(tmp_path, line, reason):
    path = tmp_path / "log.jsonl"
    path.write_bytes(GOOD + b"\n\n" + line + b"\n" + GOOD + b" \n")
    good, (problem,) = read(tmp_path)
    assert len(good) == 2
    assert str(problem).startswith("log.jsonl:3: ")
    assert reason in problem.message


def test_a_bad_element_of_a_pretty_printed_array_is_named_by_its_line(tmp_path):
    path = tmp_path / "log.json"
    path.write_text(json.dumps([{"messages": CHAT}, {"messages": "x"}, {"messages": CHAT}], indent=1))
    good, (problem,) = read(path)
    assert len(good) == 2
    line = path.read_text().splitlines()[problem.origin.line - 1 :]
    assert "".join(line[:2]).replace(" ", "") == '{"messages":"x"'


def test_an_array_that_breaks_off_gives_what_came_before(tmp_path):
    path = tmp_path / "log.json"
    path.write_bytes(b"[" + GOOD + b",\n" + GOOD[:50])
    good, (problem,) = read(path)
    assert len(good) == 1
    assert problem.origin.line == 2
    assert "the rest of the file is not read" in problem.message


def test_json_lines_under_the_wrong_name_are_read(tmp_path):
    path = tmp_path / "log.json"
    path.write_bytes(GOOD + b"\n" + GOOD + b"\n")
    good, problems = read(path)
    assert (len(good), [run.origin.line for run in good], problems) == (2, [1, 2], [])


def test_a_byte_order_mark_and_windows_line_ends_do_not_matter(tmp_path):
    (tmp_path / "log.jsonl").write_bytes(b"\xef\xbb\xbf" + GOOD + b"\r\n" + GOOD + b"\r\n")
    good, problems = read(tmp_path)
    assert (len(good), problems) == (2, [])


def test_half_surrogate_pairs_and_infinities_do_no_harm(tmp_path):
    text = (
        r'{"messages": [{"role": "user", "content": "\ud800 hi"}, {"role": "assistant", "content": "x"}], "score": NaN}'
    )
    (tmp_path / "log.jsonl").write_text(text)
    (run,), problems = read(tmp_path)
    assert (problems, run.verdict.outcome) == ([], "unknown")
    assert "? hi" in str(run.trace.spans[0].input)


def test_a_line_beyond_the_limit_is_skipped(tmp_path, monkeypatch):
    monkeypatch.setattr(files, "MAX_RECORD_BYTES", 3000)
    (tmp_path / "log.jsonl").write_bytes(b'"' + b"x" * 10_000 + b'"\n' + GOOD + b"\n")
    good, (problem,) = read(tmp_path)
    assert (len(good), problem.origin.line) == (1, 1)
    assert good[0].origin.line == 2


def test_a_file_beyond_the_limit_is_not_loaded(tmp_path, monkeypatch):
    monkeypatch.setattr(files, "MAX_FILE_BYTES", 100)
    (tmp_path / "log.json").write_bytes(b"[" + GOOD + b"]")
    assert "larger than" in read(tmp_path)[1][0].message


def test_too_many_messages_are_refused(tmp_path):
    write(tmp_path, "log.jsonl", {"messages": [said("user", "x")] * 20_001})
    assert "more than 20,000 messages" in read(tmp_path)[1][0].message


def test_pipes_devices_and_links_in_a_loop_are_no_trap(tmp_path):
    os.mkfifo(tmp_path / "pipe.json")
    (tmp_path / "loop").symlink_to(tmp_path)
    (tmp_path / "gone.json").symlink_to(tmp_path / "nowhere")
    (tmp_path / "zero.json").symlink_to("/dev/zero")
    write(tmp_path, "log.jsonl", CHAT)
    good, problems = read(tmp_path)
    assert len(good) == 1
    assert {p.origin.file for p in problems} == {"pipe.json", "gone.json", "zero.json"}


def test_files_of_other_kinds_are_passed_over(tmp_path):
    (tmp_path / "notes.txt").write_text("hello")
    (tmp_path / "empty.json").write_text("")
    assert read(tmp_path) == ([], [])


def test_a_path_that_is_not_there_is_named(tmp_path):
    with pytest.raises(ConfigError, match="nowhere"):
        list(import_runs(tmp_path / "nowhere"))


JUNK = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=5)
    | st.sampled_from(["user", "assistant", "tool", "message", "function_call"]),
    lambda below: st.lists(below, max_size=4)
    | st.dictionaries(
        st.sampled_from(
            [
                "messages", "role", "content", "tool_calls", "function", "name", "arguments", "traj", "reward",
                "task_id", "info", "simulations", "reward_info", "spans", "kind", "rollout", "input", "output",
                "type", "tools", "checks", "score", "choices", "response", "metadata", "usage", "id",
            ]
        ),
        below,
        max_size=6,
    ),
    max_leaves=20,
)  # fmt: skip


def mutated(value, draw):
    """A good log of which one part is replaced by junk."""
    if isinstance(value, dict) and value and draw(st.integers(0, 4)):
        key = draw(st.sampled_from(sorted(value)))
        return {**value, key: mutated(value[key], draw)}
    if isinstance(value, list) and value and draw(st.integers(0, 4)):
        place = draw(st.integers(0, len(value) - 1))
        return [*value[:place], mutated(value[place], draw), *value[place + 1 :]]
    return draw(JUNK)


@st.composite
def nearly_good(draw):
    return mutated(draw(st.sampled_from([{"messages": CHAT}, CHAT, ITEMS, TAU, TAU2, HONE])), draw)


@settings(max_examples=300)
@given(JUNK | nearly_good())
def test_whatever_a_record_holds_it_is_a_run_or_a_problem(value):
    record = Record(value=value, sha="0" * 16, origin=Origin(file="f", line=1))
    redactor = Redactor(b"k" * 32, engine="re")
    for one in runs_of(record):
        assert isinstance(one, Problem) or redacted(one, redactor).trace.spans is not None
