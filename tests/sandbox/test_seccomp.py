"""The filter of each processor family, interpreted: what is refused, what passes."""

from __future__ import annotations

import struct

import pytest

from sandbox.guest.seccomp import MACHINES, build_filter

ALLOW, KILL, ERRNO = 0x7FFF0000, 0x80000000, 0x00050000
EPERM, EACCES, ENOSYS = 1, 13, 38


def verdict(program: bytes, arch: int, number: int, *arguments: int) -> int:
    """Interpret a filter as the kernel does."""
    words = struct.pack("IIQ6Q", number, arch, 0, *(*arguments, 0, 0, 0, 0, 0, 0)[:6])
    at = accumulator = 0
    while True:
        code, if_true, if_false, value = struct.unpack_from("HBBI", program, 8 * at)
        at += 1
        if code == 0x06:
            return value
        if code == 0x20:
            accumulator = struct.unpack_from("I", words, value)[0]
        elif code == 0x54:
            accumulator &= value
        else:
            holds = {0x15: accumulator == value, 0x25: accumulator > value, 0x45: bool(accumulator & value)}[code]
            at += if_true if holds else if_false


@pytest.fixture(params=sorted(MACHINES))
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def test_everything_on_the_list_is_refused_and_the_rest_passes(name: str) -> None:
    machine, program = MACHINES[name], build_filter(name, inet=False)
    special = {machine.clone, machine.clone3, machine.socket, machine.socketpair, machine.ioctl, machine.prlimit}
    for number in range(machine.newest_known + 1):
        if number not in special:
            expected = ERRNO | EPERM if number in machine.refused.values() else ALLOW
            assert verdict(program, machine.audit_arch, number) == expected, number


def test_calls_newer_than_the_list_and_foreign_numbers_do_not_exist(name: str) -> None:
    machine, program = MACHINES[name], build_filter(name, inet=True)
    for number in (machine.newest_known + 1, 999, 0x40000000, 0x40000000 + machine.socket, machine.clone3):
        assert verdict(program, machine.audit_arch, number) == ERRNO | ENOSYS


def test_another_processors_calls_end_the_process(name: str) -> None:
    program = build_filter(name, inet=False)
    for arch in (0x40000003, *(machine.audit_arch for other, machine in MACHINES.items() if other != name)):
        assert verdict(program, arch, 0) == KILL


@pytest.mark.parametrize("inet", [False, True])
def test_sockets_by_family_type_and_protocol(name: str, inet: bool) -> None:
    machine, program = MACHINES[name], build_filter(name, inet=inet)
    tcp = ALLOW if inet else ERRNO | EACCES
    refused = ERRNO | EACCES
    cases = {
        (1, 1, 0): ALLOW, (1, 2, 0): ALLOW, (2, 1, 0): tcp, (10, 1, 6): tcp, (2, 1 | 0o4000, 0): tcp,
        (2, 2, 0): refused, (2, 3, 1): refused, (2, 1, 262): refused, (16, 3, 0): refused, (40, 1, 0): refused,
        (17, 3, 0): refused,
    }  # fmt: skip
    for arguments, expected in cases.items():
        assert verdict(program, machine.audit_arch, machine.socket, *arguments) == expected, arguments
        # Only the low half counts, for the kernel and hence for the filter.
        high = (arguments[0] | 1 << 40, *arguments[1:])
        assert verdict(program, machine.audit_arch, machine.socket, *high) == expected, arguments
    assert verdict(program, machine.audit_arch, machine.socketpair, 2, 1, 0) == refused
    assert verdict(program, machine.audit_arch, machine.socketpair, 1, 1, 0) == ALLOW


def test_clone_makes_threads_and_processes_but_no_namespaces(name: str) -> None:
    machine, program = MACHINES[name], build_filter(name, inet=False)
    assert verdict(program, machine.audit_arch, machine.clone, 0x003D0F00) == ALLOW
    assert verdict(program, machine.audit_arch, machine.clone, 17) == ALLOW
    for bit in (17, 25, 26, 27, 28, 29, 30):
        assert verdict(program, machine.audit_arch, machine.clone, 17 | 1 << bit) == ERRNO | EPERM, bit


def test_limits_of_others_and_typing_into_terminals_are_refused(name: str) -> None:
    machine, program = MACHINES[name], build_filter(name, inet=False)
    assert verdict(program, machine.audit_arch, machine.prlimit, 0) == ALLOW
    assert verdict(program, machine.audit_arch, machine.prlimit, 1) == ERRNO | EPERM
    assert verdict(program, machine.audit_arch, machine.ioctl, 0, 0x5412) == ERRNO | EPERM
    assert verdict(program, machine.audit_arch, machine.ioctl, 0, 0x5413) == ALLOW
