"""The seccomp profile of a whole container, from the same table as the filter that each agent gets inside.

The agent's own filter is the exact one. This profile also covers the run's process 1 and the relay, and would still
stand if the inner filter were not installed.
"""

from __future__ import annotations

import json

from sandbox.guest.seccomp import MACHINES

_EPERM = 1
_EACCES = 13
_ENOSYS = 38
_AF_UNIX = 1
_INET_FAMILIES = (2, 10)
_SOCK_STREAM = 1
_SOCK_TYPE_MASK = 0xF
_IPPROTO_TCP = 6
_NAMESPACE_BITS = (17, 25, 26, 27, 28, 29, 30)
_TERMINAL_INJECTION = (0x5412, 0x541C)
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
    families = (_AF_UNIX, *_INET_FAMILIES) if inet else (_AF_UNIX,)
    rules: list[Rule] = []
    # Rules of one call are alternatives, so "none of these families" is said as the gaps between them.
    edges = (-1, *families)
    between = [family for low, high in zip(edges, families, strict=False) for family in range(low + 1, high)]
    rules += [_refuse(["socket"], _EACCES, _argument(0, "EQ", family)) for family in between]
    rules.append(_refuse(["socket"], _EACCES, _argument(0, "GT", families[-1])))
    rules.append(_refuse(["socketpair"], _EACCES, _argument(0, "NE", _AF_UNIX)))
    if inet:
        for family in _INET_FAMILIES:
            rules += _tcp_only(_argument(0, "EQ", family))
    return rules


def _tcp_only(of_family: Argument) -> list[Rule]:
    other = [_argument(1, "MASKED_EQ", _SOCK_TYPE_MASK, kind) for kind in range(_SOCK_TYPE_MASK + 1)]
    other.pop(_SOCK_STREAM)
    other += [_argument(2, "EQ", protocol) for protocol in range(1, _IPPROTO_TCP)]
    other.append(_argument(2, "GT", _IPPROTO_TCP))
    return [_refuse(["socket"], _EACCES, of_family, refused) for refused in other]


def profile(machine: str, *, inet: bool) -> str:
    """The profile as docker takes it in `security_opt`."""
    rules: list[Rule] = [
        _refuse(sorted(MACHINES[machine].refused), _EPERM),
        _refuse(["clone3"], _ENOSYS),
        *(_refuse(["clone"], _EPERM, _argument(0, "MASKED_EQ", 1 << bit, 1 << bit)) for bit in _NAMESPACE_BITS),
        *(_refuse(["ioctl"], _EPERM, _argument(1, "EQ", request)) for request in _TERMINAL_INJECTION),
        _refuse(["prlimit64"], _EPERM, _argument(0, "NE", 0)),
        *_socket_rules(inet=inet),
    ]
    return json.dumps({"defaultAction": "SCMP_ACT_ALLOW", "architectures": _ARCHITECTURES[machine], "syscalls": rules})
