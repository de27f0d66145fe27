"""The seccomp profile of a whole container, from the same table as the filter that each agent gets inside.

The agent's own filter is the exact one. This profile also covers the run's process 1 and the relay, and would still
stand if the inner filter were not installed.
"""

from __future__ import annotations

import json

from sandbox.guest.seccomp import (
    AF_UNIX,
    CLONE_NEW_ANY,
    EACCES,
    ENOSYS,
    EPERM,
    INET_FAMILIES,
    IPPROTO_TCP,
    MACHINES,
    SOCK_STREAM,
    SOCK_TYPE_MASK,
    TERMINAL_INJECTION,
)

_NAMESPACE_BITS = tuple(bit for bit in range(32) if CLONE_NEW_ANY >> bit & 1)
_ARCHITECTURES = {"x86_64": ["SCMP_ARCH_X86_64", "SCMP_ARCH_X32"], "aarch64": ["SCMP_ARCH_AARCH64"]}
"""x32 is named so that its calls are refused one by one, as the inner filter does; unnamed ones end the process."""

Argument = dict[str, int | str]
Rule = dict[str, list[str] | str | int | list[Argument]]


def _argument(index: int, op: str, value: int, value_two: int = 0) -> Argument:
    return {"index": index, "op": f"SCMP_CMP_{op}", "value": value, "valueTwo": value_two}


def _refuse(names: list[str], errno: int, *args: Argument) -> Rule:
    return {"names": names, "action": "SCMP_ACT_ERRNO", "errnoRet": errno, "args": list(args)}


def _socket_rules(*, inet: bool) -> list[Rule]:
    """AF_UNIX always; with `inet` also streams, which reach nothing but the private loopback."""
    families = (AF_UNIX, *INET_FAMILIES) if inet else (AF_UNIX,)
    rules: list[Rule] = []
    # Rules of one call are alternatives, so "none of these families" is said as the gaps between them.
    edges = (-1, *families)
    between = [family for low, high in zip(edges, families, strict=False) for family in range(low + 1, high)]
    rules += [_refuse(["socket"], EACCES, _argument(0, "EQ", family)) for family in between]
    rules.append(_refuse(["socket"], EACCES, _argument(0, "GT", families[-1])))
    rules.append(_refuse(["socketpair"], EACCES, _argument(0, "NE", AF_UNIX)))
    if inet:
        for family in INET_FAMILIES:
            rules += _tcp_only(_argument(0, "EQ", family))
    return rules


def _tcp_only(of_family: Argument) -> list[Rule]:
    other = [_argument(1, "MASKED_EQ", SOCK_TYPE_MASK, kind) for kind in range(SOCK_TYPE_MASK + 1)]
    other.pop(SOCK_STREAM)
    other += [_argument(2, "EQ", protocol) for protocol in range(1, IPPROTO_TCP)]
    other.append(_argument(2, "GT", IPPROTO_TCP))
    return [_refuse(["socket"], EACCES, of_family, refused) for refused in other]


def profile(machine: str, *, inet: bool) -> str:
    """The profile as docker takes it in `security_opt`."""
    rules: list[Rule] = [
        _refuse(sorted(MACHINES[machine].refused), EPERM),
        _refuse(["clone3"], ENOSYS),
        *(_refuse(["clone"], EPERM, _argument(0, "MASKED_EQ", 1 << bit, 1 << bit)) for bit in _NAMESPACE_BITS),
        *(_refuse(["ioctl"], EPERM, _argument(1, "EQ", request)) for request in TERMINAL_INJECTION),
        _refuse(["prlimit64"], EPERM, _argument(0, "NE", 0)),
        *_socket_rules(inet=inet),
    ]
    return json.dumps({"defaultAction": "SCMP_ACT_ALLOW", "architectures": _ARCHITECTURES[machine], "syscalls": rules})
