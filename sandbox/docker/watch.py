"""What the host sees of one run while it goes on, and what it makes of it in the end."""

from __future__ import annotations

import json
import os
import signal
import time
from dataclasses import dataclass, field

from sandbox.contract import Kind, Limits, Result
from sandbox.docker.pump import Pump
from sandbox.docker.wire import Frames, Picture


@dataclass(slots=True, kw_only=True)
class Watch:
    """What is known of a run while it goes on."""

    limits: Limits
    stdout: Picture
    stderr: Picture
    frames: Frames = field(default_factory=Frames)
    is_up: bool = False
    is_over: bool = False
    """Nothing more will come."""
    ending: Kind | None = None
    """Why the host ended it, if it did."""
    note: str = ""
    report: dict[str, object] = field(default_factory=dict)
    was_oom_killed: bool = False
    pump: Pump | None = None
    """Where the relay's frames go."""
    state: dict[str, object] | None = None
    """What a warm container says when it is ready for the next run."""
    started: float = field(default_factory=time.monotonic)

    def take(self, chunk: bytes) -> None:
        """Read what came; nothing is the end of the stream."""
        if not chunk:
            self.is_over = True
        for tag, content in self.frames.feed(chunk):
            if tag == b"h":
                self.is_up, self.started = True, time.monotonic()
            elif tag == b"r":
                self.report, self.is_over = json.loads(content), True
            elif tag == b"k":
                self.state = json.loads(content)
            elif tag not in {b"o", b"e"}:
                if self.pump is not None and not self.is_over:
                    self.pump.take(tag, content)
            else:
                picture = self.stdout if tag == b"o" else self.stderr
                picture.add(chunk=content)
                self.is_over = self.is_over or picture.is_over


def judge(watch: Watch, level: str) -> Result:
    """How the run ended."""
    kind, status, note = _ending(watch)
    cpu_s, peak = watch.report.get("cpu_s"), watch.report.get("peak_memory_bytes")
    return Result(
        kind=kind,
        status=status,
        level=level,
        stdout=watch.stdout.output(),
        stderr=watch.stderr.output(),
        peak_memory_bytes=peak if isinstance(peak, int) else None,
        cpu_s=float(cpu_s) if isinstance(cpu_s, float | int) else 0.0,
        wall_s=time.monotonic() - watch.started,
        note=note,
    )


def _ending(watch: Watch) -> tuple[Kind, int | None, str]:
    if watch.stdout.is_over or watch.stderr.is_over:
        return "output_limit", None, f"more than {watch.limits.output_bytes} bytes on one stream"
    if watch.ending is not None:
        return watch.ending, None, watch.note
    if watch.report.get("ending"):
        limits = {"cpu": f"CPU limit of {watch.limits.cpu_s:g} s", "wall": f"wall clock of {watch.limits.wall_s:g} s"}
        return "timeout", None, limits[str(watch.report["ending"])]
    raw = watch.report.get("status")
    if isinstance(raw, int):
        return _by_status(raw, bool(watch.report.get("n_oom_kills")), watch.limits)
    if watch.was_oom_killed:
        return "oom", None, "the whole run was killed for memory"
    said = watch.frames.complaint.decode("utf-8", "replace").strip()
    return "infra", None, str(watch.report.get("error", f"the container ended without a report. {said}".strip()))


def _by_status(raw: int, was_oom: bool, limits: Limits) -> tuple[Kind, int | None, str]:  # noqa: FBT001 - one caller
    note = "a child process was killed for memory" if was_oom else ""
    if os.WIFEXITED(raw):
        return ("ok" if os.WEXITSTATUS(raw) == 0 else "nonzero"), raw, note
    if os.WTERMSIG(raw) == signal.SIGKILL and was_oom:
        return "oom", raw, f"memory limit of {limits.memory_bytes} bytes"
    if os.WTERMSIG(raw) == signal.SIGXCPU:
        return "timeout", raw, f"CPU limit of {limits.cpu_s:g} s"
    return "signal", raw, note
