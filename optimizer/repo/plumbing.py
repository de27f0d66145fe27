"""Every git process of ours starts here, through GitPython, with nothing configurable left switched on.

The danger: git runs programs that configuration and attributes name - hooks, `filter.*.clean`, `core.fsmonitor`,
`diff.external`, textconv, merge drivers - and a user's configuration may well point at a script *inside* the harness
(`core.hooksPath = .githooks`), which an edit could rewrite. Hence two ways to call git:

- `sealed`: the object database and refs only. No work tree, no index, no system or user configuration; the
  repository's own configuration is read (object format, alternates) with every program in it switched off.
- `desk`: the user's checkout, for looking whether it is clean and for `hone pick`. The user's configuration counts
  (identity, line endings), hooks stay off and every filter and merge driver is replaced by git's built-in.

What is not covered: an environment (`PATH`, `LD_PRELOAD`) that is already somebody else's; bugs in git.
"""

from __future__ import annotations

import os
import shlex
import shutil
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from optimizer.domain.errors import RepoError

NO_GIT = "git is not on the PATH. Install git (2.31 or newer) and try again."

_OFF: tuple[tuple[str, str], ...] = (
    ("core.hooksPath", os.devnull),
    ("core.fsmonitor", "false"),
    ("core.attributesFile", os.devnull),
    ("core.quotePath", "false"),
    ("core.protectHFS", "true"),
    ("core.protectNTFS", "true"),
    ("core.editor", ":"),
    ("core.pager", "cat"),
    ("commit.gpgSign", "false"),
    ("gc.auto", "0"),
    ("maintenance.auto", "false"),
    ("rerere.enabled", "false"),
    ("submodule.recurse", "false"),
    ("diff.ignoreSubmodules", "all"),
    ("i18n.commitEncoding", "UTF-8"),
)
"""Settings that outrank every configuration file."""

_ENV: Mapping[str, str] = {
    "GIT_ALLOW_PROTOCOL": "none",  # a missing object is an error, never a reason to start a transport
    "GIT_ATTR_NOSYSTEM": "1",
    "GIT_EDITOR": ":",
    "GIT_LITERAL_PATHSPECS": "1",
    "GIT_OPTIONAL_LOCKS": "0",  # looking at the user's index never rewrites it
    "GIT_TERMINAL_PROMPT": "0",
}
_SEALED_ENV: Mapping[str, str] = {
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_NO_REPLACE_OBJECTS": "1",
}
_KEPT_SEALED = frozenset({"GIT_EXEC_PATH"})
_KEPT_DESK = _KEPT_SEALED | {
    "GIT_AUTHOR_EMAIL",
    "GIT_AUTHOR_NAME",
    "GIT_CEILING_DIRECTORIES",
    "GIT_COMMITTER_EMAIL",
    "GIT_COMMITTER_NAME",
    "GIT_CONFIG_GLOBAL",
    "GIT_CONFIG_NOSYSTEM",
    "GIT_CONFIG_SYSTEM",
    "GIT_DISCOVERY_ACROSS_FILESYSTEM",
}
"""What may come from the caller's environment: who they are and where their configuration lies. GIT_DIR,
GIT_INDEX_FILE, GIT_EXTERNAL_DIFF, GIT_CONFIG_PARAMETERS and all others are dropped (hone may run inside a hook)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """How one git process ended."""

    status: int
    out: bytes
    err: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Plumbing:
    """A way to call git in one repository; a value, holds no process."""

    cwd: Path
    env: Mapping[str, str]
    kept: frozenset[str]
    """`GIT_*` variables that are passed on from our own environment."""
    config: tuple[tuple[str, str], ...] = _OFF

    def ask(self, *args: str, stdin: bytes = b"", env: Mapping[str, str] | None = None) -> Answer:
        """Run git and hand back whatever happened.

        Raises:
            RepoError: when git is not installed.
        """
        # GitPython starts a process when it is imported: not before it is needed, and not without git.
        if shutil.which("git") is None:
            raise RepoError(NO_GIT)
        from git import Git
        from git.exc import GitCommandNotFound

        full_env = {**self.env, **_config_env(self.config), **(env or {})}
        command = [*_without(self._dropped(full_env)), "git", *args]
        with tempfile.TemporaryFile() as feed:
            feed.write(stdin)
            feed.seek(0)
            try:
                status, out, err = Git(self.cwd).execute(
                    command,
                    istream=feed,
                    with_extended_output=True,
                    with_exceptions=False,
                    stdout_as_string=False,
                    strip_newline_in_stdout=False,
                    shell=False,
                    env=full_env,
                )
            except GitCommandNotFound as error:
                raise RepoError(NO_GIT) from error
        return Answer(status=int(status), out=_as_bytes(out), err=str(err).strip())

    def run(self, *args: str, stdin: bytes = b"", env: Mapping[str, str] | None = None) -> bytes:
        """Run git and hand back its output.

        Raises:
            RepoError: when git ends with anything but 0; git's own words are in the message.
        """
        answer = self.ask(*args, stdin=stdin, env=env)
        if answer.status != 0:
            raise RepoError(f"`git {args[0]}` failed in {self.cwd} with status {answer.status}: {answer.err or '-'}")
        return answer.out

    def line(self, *args: str, stdin: bytes = b"", env: Mapping[str, str] | None = None) -> str:
        """Run git and hand back the one line it prints."""
        return os.fsdecode(self.run(*args, stdin=stdin, env=env)).removesuffix("\n")

    def _dropped(self, ours: Mapping[str, str]) -> tuple[str, ...]:
        names = (name for name in os.environ if name.startswith("GIT_") and not name.startswith("GIT_PYTHON_"))
        return tuple(sorted(name for name in names if name not in self.kept and name not in ours))


def sealed(git_dir: Path) -> Plumbing:
    """Git on the object database and refs of `git_dir`, deaf to everything but the repository's own settings."""
    return Plumbing(cwd=git_dir, env={**_ENV, **_SEALED_ENV, "GIT_DIR": str(git_dir)}, kept=_KEPT_SEALED)


def outside(folder: Path) -> Plumbing:
    """Git before a repository is known: honours the user's `safe.directory`, runs nothing."""
    return Plumbing(cwd=folder, env=_ENV, kept=_KEPT_DESK)


def desk(git_dir: Path, work_tree: Path) -> Plumbing:
    """Git in the user's checkout, with the user's settings but none of the programs they name."""
    env = {**_ENV, "GIT_DIR": str(git_dir), "GIT_WORK_TREE": str(work_tree)}
    plain = Plumbing(cwd=work_tree, env=env, kept=_KEPT_DESK)
    return Plumbing(cwd=work_tree, env=env, kept=_KEPT_DESK, config=_OFF + tuple(_drivers_off(plain)))


def _drivers_off(plumbing: Plumbing) -> Iterable[tuple[str, str]]:
    """Overrides that turn every configured content filter into a no-op and every merge driver into git's own."""
    answer = plumbing.ask("config", "--null", "--name-only", "--get-regexp", r"^(filter|merge)\..*\..*")
    for key in sorted(set(answer.out.split(b"\0")) - {b""}):
        section, _, rest = os.fsdecode(key).partition(".")
        name, _, attribute = rest.rpartition(".")
        if section == "filter" and attribute in {"clean", "smudge", "process"}:
            yield f"filter.{name}.{attribute}", ""
        elif section == "filter" and attribute == "required":
            yield f"filter.{name}.required", "false"
        elif section == "merge" and attribute == "driver":
            yield f"merge.{name}.driver", f"{shlex.quote(shutil.which('git') or 'git')} merge-file %A %O %B"


def _config_env(pairs: tuple[tuple[str, str], ...]) -> Mapping[str, str]:
    env = {"GIT_CONFIG_COUNT": str(len(pairs))}
    for index, (key, value) in enumerate(pairs):
        env[f"GIT_CONFIG_KEY_{index}"] = key
        env[f"GIT_CONFIG_VALUE_{index}"] = value
    return env


def _without(names: tuple[str, ...]) -> list[str]:
    """GitPython only adds to the environment; `env -u` takes away."""
    if not names:
        return []
    return ["env", *(part for name in names for part in ("-u", name))]


def _as_bytes(out: bytes | str | None) -> bytes:
    if out is None:
        return b""
    return out if isinstance(out, bytes) else out.encode("utf-8", "surrogateescape")
