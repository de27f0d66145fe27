"""What a proposing model is told: the cluster, its evidence, the harness, and what was tried before."""

from __future__ import annotations

from collections.abc import Mapping
from random import Random

from optimizer.domain.failure import Failure
from optimizer.domain.json import content_hash
from optimizer.propose.guards import is_editable
from optimizer.propose.protocol import ProposalRequest, TriedEdit

MAX_FAILURES = 8
MAX_QUOTE_CHARS = 1200
MAX_TRIED = 30
MAX_FILE_CHARS = 24_000
MAX_HARNESS_CHARS = 120_000
"""Harness text that is shown, editable files first; what does not fit is named."""


def request_text(request: ProposalRequest) -> str:
    """Write the one user message. Recorded text stands between marks that it cannot close by itself."""
    mark = content_hash("mark", request.seed, request.cluster.id, length=8)
    sections = (
        _cluster_section(request),
        _failures_section(request, mark),
        _tried_section(request.tried, mark),
        _guidance_section(request, mark),
        f"# The harness\n\nEditable files: {', '.join(request.editable)}. Everything else is read-only.",
        *_file_sections(request, mark),
    )
    return "\n\n".join(section for section in sections if section)


def _data(mark: str, kind: str, text: str, *, limit: int) -> str:
    cut = text if len(text) <= limit else f"{text[:limit]}\n[... {len(text) - limit} characters left out]"
    return f"<data {mark} {kind}>\n{cut.replace(mark, '?')}\n</data {mark}>"


def _cluster_section(request: ProposalRequest) -> str:
    cluster = request.cluster
    return (
        f"# The cluster\n\n{cluster.name} (class {cluster.label}, severity {cluster.severity:.1f} of 1.0): "
        f"{cluster.n_failures} failures so far, {len(request.target_tasks)} tasks to fix with this edit, "
        f"{cluster.n_attempts} edits tried, {cluster.n_fruitless} of them in a row without success."
    )


def _failures_section(request: ProposalRequest, mark: str) -> str:
    shown = _sample(request.failures, Random(request.seed))
    quotes = [
        _data(
            mark,
            f"failure {number}",
            f"seen: {failure.symptom}\npresumed cause: {failure.cause}\nquoted from the run: {failure.evidence}",
            limit=MAX_QUOTE_CHARS,
        )
        for number, failure in enumerate(shown, start=1)
    ]
    return "\n\n".join([f"# Evidence: {len(shown)} of {len(request.failures)} failures", *quotes])


def _sample(failures: tuple[Failure, ...], rng: Random) -> tuple[Failure, ...]:
    """Choose what is shown, in the order given."""
    chosen = sorted(rng.sample(range(len(failures)), min(MAX_FAILURES, len(failures))))
    return tuple(failures[index] for index in chosen)


def _tried_section(tried: tuple[TriedEdit, ...], mark: str) -> str:
    if not tried:
        return ""
    lines = [
        f"- cluster {edit.cluster_id}, {edit.verdict}: {edit.title}. Why: {edit.hypothesis} Result: {edit.reason}"
        for edit in tried[-MAX_TRIED:]
    ]
    text = _data(mark, "tried", "\n".join(lines), limit=MAX_FILE_CHARS)
    return f"# Tried before in this campaign; do not propose the same again\n\n{text}"


def _guidance_section(request: ProposalRequest, mark: str) -> str:
    if not request.guidance.strip():
        return ""
    return f"# Wishes of the harness's owner\n\n{_data(mark, 'guidance', request.guidance, limit=MAX_FILE_CHARS)}"


def _file_sections(request: ProposalRequest, mark: str) -> list[str]:
    """Show files whole as long as they fit, editable ones first; name the others."""
    sections, left_out, n_chars = [], [], 0
    for path, text in _texts(request.files, request.editable):
        if text is None or len(text) > MAX_FILE_CHARS or n_chars + len(text) > MAX_HARNESS_CHARS:
            left_out.append(path)
            continue
        n_chars += len(text)
        sections.append(_data(mark, f"file {path}", text, limit=MAX_FILE_CHARS))
    if left_out:
        sections.append(f"Not shown (binary or too long): {', '.join(left_out)}")
    return sections


def _texts(files: Mapping[str, bytes], editable: tuple[str, ...]) -> list[tuple[str, str | None]]:
    """Paths with their text, editable first; None for what is not text."""
    ordered = sorted(files, key=lambda path: (not is_editable(path, editable), path))
    return [(path, _text(files[path])) for path in ordered]


def _text(content: bytes) -> str | None:
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError:
        return None
