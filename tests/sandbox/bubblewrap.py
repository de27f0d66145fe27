"""bubblewrap for the tests, by apt where it is missing and this user may install it."""

from __future__ import annotations

import os
import shutil
import subprocess

from sandbox.native.bubblewrap import find

_INSTALL_S = 300


class NoBubblewrapError(Exception):
    """No bubblewrap can be had here; the message is what the tests' summary says."""


def ensure_bubblewrap() -> None:
    """Find or install it. Raises NoBubblewrapError."""
    try:
        find()
    except FileNotFoundError:
        _install()
    except PermissionError as error:
        raise NoBubblewrapError(str(error)) from error


def _install() -> None:
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        raise NoBubblewrapError("bwrap is not installed, and only root with apt-get could install it")
    env = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    for step in (["update", "-qq"], ["install", "-y", "-qq", "--no-install-recommends", "bubblewrap"]):
        try:
            done = subprocess.run(
                ["apt-get", *step], env=env, capture_output=True, text=True, timeout=_INSTALL_S, check=False
            )
        except subprocess.TimeoutExpired as error:
            raise NoBubblewrapError(f"apt-get {step[0]} took more than {_INSTALL_S} s") from error
        if done.returncode:
            raise NoBubblewrapError(f"apt-get {step[0]} failed: {done.stderr.strip()[-300:]}")
    try:
        find()
    except OSError as error:
        raise NoBubblewrapError(f"bubblewrap is installed and cannot be used: {error}") from error
