"""The filter, run here as the kernel runs it: for both architectures, whichever this machine is."""

import errno
import mmap
import os
import re
import resource
import struct
from pathlib import Path

import pytest

from app.inference.sandbox.seccomp import ALLOW, AND, EQUAL, KILL, LOAD, REFUSE, RETURN, program
from app.inference.sandbox.syscalls import NUMBERS, rules

ARCHITECTURES = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
HEADERS = {
    "x86_64": Path("/usr/include/x86_64-linux-gnu/asm/unistd_64.h"),
    "aarch64": Path("/usr/include/asm-generic/unistd.h"),
}
MOST_CALLS = 600
X32 = 0x40000000

both = pytest.mark.parametrize("architecture", ARCHITECTURES)


def verdict(architecture: str, number: int, *arguments: int, seen_as: str | None = None) -> int:
    """What the filter of ``architecture`` returns for a system call made in the manner of ``seen_as``."""
    padded = (*arguments, 0, 0, 0, 0, 0, 0)[:6]
    data = struct.pack("<IIQ6Q", number, ARCHITECTURES[seen_as or architecture], 0, *padded)
    steps, at, accumulator = program(rules(), architecture), 0, 0
    while True:
        step = steps[at]
        at += 1
        match step.code:
            case code if code == LOAD:
                (accumulator,) = struct.unpack_from("<I", data, step.operand)
            case code if code == AND:
                accumulator &= step.operand
            case code if code == EQUAL:
                at += step.then if accumulator == step.operand else step.otherwise
            case code if code == RETURN:
                return step.operand
            case code:
                raise AssertionError(f"no such instruction: {code:#x}")


def number_of(name: str, architecture: str) -> int:
    return NUMBERS[name][list(ARCHITECTURES).index(architecture)]


def test_what_is_not_allowed_fails_with_eperm() -> None:
    assert REFUSE & 0xFFFF == errno.EPERM


@both
def test_nothing_is_allowed_but_what_is_on_the_list(architecture: str) -> None:
    listed = {number_of(rule.name, architecture) for rule in rules()}
    assert {number for number in range(MOST_CALLS) if verdict(architecture, number) != REFUSE} <= listed


@both
def test_what_decoding_needs_is_allowed(architecture: str) -> None:
    for rule in rules():
        arguments = [0] * 6
        for condition in rule.conditions:
            arguments[condition.argument] = condition.value
        assert verdict(architecture, number_of(rule.name, architecture), *arguments) == ALLOW, rule


@both
@pytest.mark.parametrize("name", ["mmap", "mprotect"])
def test_memory_becomes_no_code(architecture: str, name: str) -> None:
    call = number_of(name, architecture)
    assert verdict(architecture, call, 0, 4096, mmap.PROT_READ | mmap.PROT_WRITE) == ALLOW
    assert verdict(architecture, call, 0, 4096, mmap.PROT_READ | mmap.PROT_EXEC) == REFUSE


@both
def test_a_process_signals_itself_alone(architecture: str) -> None:
    call = number_of("tgkill", architecture)
    assert verdict(architecture, call, os.getpid(), 1, 6) == ALLOW
    assert verdict(architecture, call, os.getppid(), 1, 9) == REFUSE


@both
def test_limits_are_read_and_time_is_granted_but_nothing_else_is_raised(architecture: str) -> None:
    call, pointer = number_of("prlimit64", architecture), 0x7FFF_0000_0000
    assert verdict(architecture, call, 0, resource.RLIMIT_AS, 0, pointer) == ALLOW
    assert verdict(architecture, call, 0, resource.RLIMIT_CPU, pointer) == ALLOW
    assert verdict(architecture, call, 0, resource.RLIMIT_AS, pointer) == REFUSE
    assert verdict(architecture, call, os.getppid(), resource.RLIMIT_CPU, pointer) == REFUSE


@both
def test_a_condition_reads_all_64_bits(architecture: str) -> None:
    assert verdict(architecture, number_of("prlimit64", architecture), 0, resource.RLIMIT_AS, 1 << 32) == REFUSE


def test_a_call_in_the_manner_of_another_architecture_ends_the_process() -> None:
    assert verdict("x86_64", number_of("close", "x86_64"), seen_as="aarch64") == KILL
    assert verdict("aarch64", number_of("close", "aarch64"), seen_as="x86_64") == KILL


def test_the_second_table_of_x86_64_is_closed() -> None:
    assert verdict("x86_64", X32 | number_of("close", "x86_64")) == REFUSE


@both
def test_numbers_are_those_of_the_kernel(architecture: str) -> None:
    header = HEADERS[architecture]
    if not header.is_file():
        pytest.skip(f"no {header}: the kernel's headers are not installed")
    defined = dict(re.findall(r"#define __NR(?:3264)?_(\w+)\s+(\d+)", header.read_text()))
    assert {name: number_of(name, architecture) for name in NUMBERS} == {name: int(defined[name]) for name in NUMBERS}
