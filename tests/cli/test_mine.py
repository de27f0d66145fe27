"""`hone mine`: foreign traces in, a ranked report out; no campaign, no key, no network."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import pytest

from optimizer.cli.exits import Exit
from tests.cli.conftest import hone
from tests.telemetry.logs import CHAT, HONE, LOST, TAU, TAU2, TOOLS, write

MESSY = [LOST[0] | {"content": "I am zoe@example.com, where is W1?"}, *LOST[1:]]
NO_KEYS = {"OPENAI_API_KEY": "", "ANTHROPIC_API_KEY": "", "http_proxy": "http://127.0.0.1:9", "HTTPS_PROXY": ""}


@pytest.fixture
def traces(tmp_path) -> Path:
    folder = tmp_path / "traces"
    for n in range(4):
        write(folder, f"chat/{n}.json", {"messages": MESSY, "tools": TOOLS, "passed": False, "id": f"lost-{n}"})
    write(
        folder,
        "day.jsonl",
        {"messages": CHAT, "passed": True},
        {"messages": MESSY, "id": "unjudged"},
        {"nonsense": 1, "x@example.com": 2},
    )
    write(folder, "day2.jsonl", {"messages": CHAT, "id": "fine"}, {"messages": CHAT, "passed": True})
    write(folder, "tau.json", [TAU])
    write(folder, "tau2.json", TAU2)
    write(folder, "own.json", HONE)
    return folder


def test_a_folder_of_foreign_traces_becomes_a_ranked_report(traces):
    said = hone("mine", "traces", cwd=traces.parent, env=NO_KEYS)
    assert said.code == Exit.OK, said.err
    assert "13 runs from 9 files (7 messages, 4 tau2, 1 hone, 1 tau)" in said.out
    assert "called a tool that does not exist  [tool_selection.hallucinated_tool]" in said.out
    assert "chat/0.json:1  task lost-0  first decisive step: span 1 of 8" in said.out
    assert "| Error: unknown tool track_parcel" in said.out
    assert "day.jsonl:3: no format that is known: an object with nonsense, <EMAIL:" in said.out


def test_the_json_report_holds_counts_clusters_cases_and_problems(traces):
    said = hone("mine", "traces", "--json", cwd=traces.parent)
    report = json.loads(said.out)
    counts = report["counts"]
    assert counts["runs"] == counts["passed"] + counts["failed"] + counts["unknown"]
    assert (counts["looks_failed"], counts["duplicates"], counts["problems"]) == (1, 1, 1)
    first = next(one for one in report["clusters"] if one["label"] == "tool_selection.hallucinated_tool")
    assert first["n_failures"] == 5
    example = first["examples"][0]
    assert (example["file"], example["line"], example["span"]) == ("chat/0.json", 1, 1)
    assert {case["state"] for case in report["cases"]} == {"candidate"}
    sizes = [one["n_failures"] * one["severity"] for one in report["clusters"] if not one["is_one_off"]]
    assert sizes == sorted(sizes, reverse=True)


def test_files_are_written_redacted_and_for_the_owner_alone(traces):
    said = hone("mine", "traces", "-o", "out", cwd=traces.parent)
    assert said.code == Exit.OK, said.err
    out = traces.parent / "out"
    failures = [json.loads(line) for line in (out / "failures.jsonl").read_text().splitlines()]
    clusters = json.loads((out / "clusters.json").read_text())
    cases = [json.loads(line) for line in (out / "cases.jsonl").read_text().splitlines()]
    assert len(failures) == sum(one["n_failures"] for one in clusters["clusters"])
    assert all(case["spans"][-1]["index"] >= 0 and case["redaction_version"] == "1" for case in cases)
    everything = "".join(path.read_text() for path in out.iterdir())
    assert "zoe@example.com" not in everything
    assert "<EMAIL:" in everything
    assert {stat.S_IMODE(path.stat().st_mode) for path in out.iterdir()} == {0o600}


def test_a_case_holds_the_conversation_up_to_the_decisive_step(traces):
    hone("mine", "traces", "-o", "out", cwd=traces.parent)
    cases = [json.loads(line) for line in (traces.parent / "out" / "cases.jsonl").read_text().splitlines()]
    case = next(case for case in cases if case["case"]["task_id"] == "lost-0")
    assert [span["kind"] for span in case["spans"]] == ["model_call", "tool_call"]
    assert case["origin"] == {"file": "chat/0.json", "line": 1}
    assert case["tools"] == ["find_order"]


def test_nothing_is_redacted_only_when_that_is_said(traces):
    said = hone("mine", "traces", "-o", "out", "--no-redact", cwd=traces.parent)
    assert said.code == Exit.OK
    assert "zoe@example.com" in (traces.parent / "out" / "cases.jsonl").read_text()


def test_an_earlier_result_is_not_overwritten(traces):
    hone("mine", "traces", "-o", "out", cwd=traces.parent)
    said = hone("mine", "traces", "-o", "out", cwd=traces.parent)
    assert said.code == Exit.USAGE
    assert "already holds failures.jsonl" in said.err


def test_pseudonyms_are_the_same_from_run_to_run_under_a_key(traces):
    def emails(*options: str, out: str) -> str:
        hone("mine", "traces", "-o", out, *options, cwd=traces.parent)
        return (traces.parent / out / "cases.jsonl").read_text()

    assert emails("--key", "k", out="one") == emails("--key", "k", out="two")
    assert emails(out="three") != emails(out="four")
    assert stat.S_IMODE((traces.parent / "k").stat().st_mode) == 0o600


def test_strict_stops_at_the_first_bad_record(traces):
    said = hone("mine", "traces", "--strict", cwd=traces.parent)
    assert said.code == Exit.USAGE
    assert "day.jsonl:3" in said.err


def test_a_folder_without_traces_is_said_so(tmp_path):
    (tmp_path / "empty").mkdir()
    said = hone("mine", "empty", cwd=tmp_path)
    assert said.code == Exit.USAGE
    assert "no trace could be read in empty" in said.err


def test_control_characters_of_a_trace_do_not_reach_the_terminal(tmp_path):
    evil = [LOST[0], LOST[1], LOST[2] | {"content": "Error: \x1b[2Junknown tool x"}, *LOST[3:]]
    write(tmp_path, "log.jsonl", {"messages": evil, "passed": False})
    assert "\x1b" not in hone("mine", "log.jsonl", cwd=tmp_path).out


def test_a_file_in_place_of_the_output_folder_is_refused_before_anything_is_read(traces):
    (traces.parent / "out").write_text("")
    said = hone("mine", "traces", "-o", "out", cwd=traces.parent)
    assert said.code == Exit.USAGE
    assert "out is a file" in said.err
    assert said.out == ""
