"""An imported run without personal values."""

from __future__ import annotations

from dataclasses import replace

from optimizer.domain.task import ToolSchema
from optimizer.telemetry import fields
from optimizer.telemetry.imported import ImportedRun, Problem
from optimizer.telemetry.redact import Knowing, Redactor


def redacted(run: ImportedRun, redactor: Redactor) -> ImportedRun:
    """The run with every text redacted under what its whole trace gives away.

    A group - often a user's or a session's id - becomes a pseudonym, so that runs of one group still stand together.
    """
    has_group = run.group != run.task_id and fields.is_value(run.group)
    spoken = [part for span in run.trace.spans for part in (span.input, span.output)]
    knowing = redactor.knowing([*spoken, {"user_id": run.group}] if has_group else spoken)
    group = redactor.pseudonyms.of(redactor.kind_of(run.group, "USER"), run.group) if has_group else None
    task = knowing.text(run.task_id)
    verdict = replace(
        run.verdict,
        note=knowing.text(run.verdict.note),
        checks=tuple(
            replace(check, name=knowing.text(check.name), detail=knowing.text(check.detail))
            for check in run.verdict.checks
        ),
    )
    return replace(
        run,
        origin=replace(run.origin, file=knowing.text(run.origin.file)),
        task_id=task,
        group=group or knowing.text(run.group),
        verdict=verdict,
        tools=tuple(_tool(tool, knowing) for tool in run.tools),
        trace=knowing.trace(run.trace),
    )


def redacted_problem(problem: Problem, redactor: Redactor) -> Problem:
    """A problem whose words, such as the keys of an unknown record, name nobody."""
    origin = replace(problem.origin, file=redactor.text(problem.origin.file))
    return replace(problem, origin=origin, message=redactor.text(problem.message))


def _tool(tool: ToolSchema, knowing: Knowing) -> ToolSchema:
    return replace(tool, description=knowing.text(tool.description), parameters=knowing.object(tool.parameters))
