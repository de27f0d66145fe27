"""A model's submission: its shape, how it is parsed, and how its edits become new file contents."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Annotated, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from optimizer.domain.candidate import FileEdit
from optimizer.domain.errors import EditRefusedError
from optimizer.domain.json import JsonObject
from optimizer.domain.model import ModelReply, ModelTool

SHAPE = ConfigDict(extra="forbid", frozen=True, strict=True)
TOOL_NAME = "submit_edit"
FENCED_JSON = re.compile(r"```(?:json)?\s*\n(.*?)\n```", re.DOTALL)


class ReplaceText(BaseModel):
    """Replace a passage that occurs exactly once."""

    model_config = SHAPE

    path: str
    old: Annotated[str, Field(min_length=1)]
    new: str


class WriteFile(BaseModel):
    """Write a whole file, new or existing."""

    model_config = SHAPE

    path: str
    content: str


class DeleteFile(BaseModel):
    """Remove a file."""

    model_config = SHAPE

    path: str
    delete: Literal[True]


SubmittedFileEdit: TypeAlias = ReplaceText | WriteFile | DeleteFile


class SubmittedEdit(BaseModel):
    """Arguments of `submit_edit`."""

    model_config = SHAPE

    title: Annotated[str, Field(min_length=1)]
    hypothesis: Annotated[str, Field(min_length=1)]
    rung: Literal["prompt", "tool", "context", "control_flow"]
    predicted_fixes: str = ""
    predicted_risks: str = ""
    edits: tuple[SubmittedFileEdit, ...]


_TEXT: JsonObject = {"type": "string"}
_EDIT_SCHEMA: JsonObject = {
    "type": "object",
    "description": "One of: {path, old, new} replaces a passage that occurs exactly once in the file; "
    "{path, content} writes the whole file; {path, delete: true} removes it.",
    "properties": {"path": _TEXT, "old": _TEXT, "new": _TEXT, "content": _TEXT, "delete": {"type": "boolean"}},
    "required": ["path"],
}
SUBMIT_EDIT = ModelTool(
    name=TOOL_NAME,
    description="Hand in your one edit of the harness.",
    parameters={
        "type": "object",
        "properties": {
            "title": {"type": "string", "description": "Commit subject in the imperative, at most 72 characters."},
            "hypothesis": {"type": "string", "description": "Root cause, and why this edit removes it."},
            "rung": {"type": "string", "enum": ["prompt", "tool", "context", "control_flow"]},
            "predicted_fixes": {"type": "string", "description": "Which failures should disappear."},
            "predicted_risks": {"type": "string", "description": "What may get worse."},
            "edits": {"type": "array", "items": _EDIT_SCHEMA},
        },
        "required": ["title", "hypothesis", "rung", "edits"],
        "additionalProperties": False,
    },
)


def parse_submission(reply: ModelReply) -> SubmittedEdit:
    """Take the submission from the tool call, or from the text where a model wrote it as JSON.

    Raises:
        EditRefusedError: code `apply` when there is none or it has another shape, `empty` when it edits nothing.
    """
    try:
        submitted = SubmittedEdit.model_validate_json(_submission_json(reply))
    except ValidationError as error:
        problems = "; ".join(
            f"{'.'.join(map(str, problem['loc'])) or TOOL_NAME}: {problem['msg']}"
            for problem in error.errors(include_url=False, include_context=False, include_input=False)[:5]
        )
        raise EditRefusedError("apply", f"the submission has the wrong shape: {problems}{_cut_note(reply)}") from error
    if not submitted.edits:
        raise EditRefusedError("empty", "the submission contains no edits; change at least one file")
    return submitted


def resolve_edits(edits: tuple[SubmittedFileEdit, ...], files: Mapping[str, bytes]) -> tuple[FileEdit, ...]:
    """Turn submitted edits, in their order, into the new content of each touched file.

    Raises:
        EditRefusedError: code `apply`, when a passage is not found exactly once or a file to change is missing.
    """
    touched: dict[str, bytes | None] = {}
    for number, edit in enumerate(edits):
        current = touched.get(edit.path, files.get(edit.path))
        touched[edit.path] = _resolved(edit, current, where=f"edits[{number}]")
    return tuple(FileEdit(path=path, content=content) for path, content in touched.items())


def _submission_json(reply: ModelReply) -> str:
    calls = [call for call in reply.tool_calls if call.name == TOOL_NAME]
    if len(calls) > 1:
        raise EditRefusedError("apply", f"{TOOL_NAME} was called {len(calls)} times; put all edits into one call")
    if calls and "_malformed" in calls[0].arguments:
        raise EditRefusedError("apply", f"the arguments of {TOOL_NAME} are not valid JSON{_cut_note(reply)}")
    if calls:
        return json.dumps(calls[0].arguments)
    fenced = FENCED_JSON.findall(reply.text)
    text = str(fenced[-1] if fenced else reply.text).strip()
    if not text.startswith("{"):
        said = f": {reply.text.strip()[:200]!r}" if reply.text.strip() else ""
        reason = "declined to answer" if reply.stop == "refusal" else f"answered without calling {TOOL_NAME}"
        raise EditRefusedError("apply", f"the model {reason}{said}{_cut_note(reply)}")
    return text


def _cut_note(reply: ModelReply) -> str:
    return " (its output was cut off at the token limit; allow more output tokens)" if reply.stop == "length" else ""


def _resolved(edit: SubmittedFileEdit, current: bytes | None, *, where: str) -> bytes | None:
    match edit:
        case WriteFile():
            return edit.content.encode("utf-8", "surrogatepass")
        case DeleteFile():
            if current is None:
                raise EditRefusedError("apply", f"{where}: {edit.path} cannot be removed: there is no such file")
            return None
        case ReplaceText():
            return _replaced(edit, current, where=where)


def _replaced(edit: ReplaceText, current: bytes | None, *, where: str) -> bytes:
    if current is None:
        raise EditRefusedError("apply", f"{where}: {edit.path} does not exist; give its whole content instead")
    old, new = (text.encode("utf-8", "surrogatepass") for text in (edit.old, edit.new))
    n_found = current.count(old)
    if n_found != 1:
        remedy = "quote the file exactly" if n_found == 0 else "quote more of the text around it"
        raise EditRefusedError(
            "apply", f"{where}: the text to replace occurs {n_found} times in {edit.path}, not once; {remedy}"
        )
    return current.replace(old, new)
