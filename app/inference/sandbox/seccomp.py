"""A seccomp filter from a list of rules: what is not on the list fails with EPERM.

EPERM and not a kill: a library that tries something gets an error that it can handle. A call in the manner of another
architecture, whose numbers mean other things, ends the process.

Source: https://docs.kernel.org/userspace-api/seccomp_filter.html
"""

import ctypes
import socket
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from app.inference.sandbox.kernel import machine, prctl
from app.inference.sandbox.syscalls import NUMBERS, Condition, Rule, rules

ALLOW, REFUSE, KILL = 0x7FFF0000, 0x00050001, 0x80000000
"""What a filter returns; REFUSE carries EPERM."""

LOAD, AND, EQUAL, RETURN = 0x20, 0x54, 0x15, 0x06
"""BPF: load a word of ``struct seccomp_data``, mask it, jump if it equals, return."""

_ARCHITECTURES = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
_NUMBER, _ARCHITECTURE, _ARGUMENTS = 0, 4, 16
"""Offsets in ``struct seccomp_data``."""

_PR_SET_SECCOMP, _MODE_FILTER = 22, 2


class Instruction(NamedTuple):
    """One step of classic BPF."""

    code: int
    then: int
    otherwise: int
    operand: int


class _Program(ctypes.Structure):
    """``struct sock_fprog``."""

    _fields_ = (("length", ctypes.c_ushort), ("instructions", ctypes.c_char_p))


def apply() -> bool:
    """Filter all that the calling thread does from now on, for good; whether it holds."""
    here = machine()
    if here is None:
        return False
    steps = b"".join(_packed(step) for step in program(rules(), here))
    try:
        filtered = _Program(len(steps) // 8, steps)
        prctl(_PR_SET_SECCOMP, ctypes.c_ulong(_MODE_FILTER), ctypes.byref(filtered))
    except OSError:  # not built in
        return False
    return _holds()


def program(allowed: Sequence[Rule], architecture: str) -> list[Instruction]:
    """The filter for ``x86_64`` or ``aarch64``.

    wrong architecture? KILL     rule 1 holds? ALLOW     rule 2 holds? ALLOW     ...     REFUSE
    """
    steps = [
        Instruction(LOAD, 0, 0, _ARCHITECTURE),
        Instruction(EQUAL, 1, 0, _ARCHITECTURES[architecture]),
        Instruction(RETURN, 0, 0, KILL),
    ]
    for rule in allowed:
        steps += _block(NUMBERS[rule.name][list(_ARCHITECTURES).index(architecture)], rule.conditions)
    return [*steps, Instruction(RETURN, 0, 0, REFUSE)]


def _block(number: int, conditions: Sequence[Condition]) -> list[Instruction]:
    """ALLOW if the number and all conditions match, else go on behind the block."""
    tests = [_word(_NUMBER, 2**32 - 1, number)]
    for argument, value, mask in conditions:
        low = _ARGUMENTS + 8 * argument  # both architectures store the low half first
        tests += [_word(low, mask % 2**32, value % 2**32), _word(low + 4, mask >> 32, value >> 32)]
    steps = [step for test in tests for step in test]
    end = len(steps)
    return [step._replace(otherwise=end - at) if step.code == EQUAL else step for at, step in enumerate(steps)] + [
        Instruction(RETURN, 0, 0, ALLOW)
    ]


def _word(offset: int, mask: int, value: int) -> list[Instruction]:
    return [Instruction(LOAD, 0, 0, offset), Instruction(AND, 0, 0, mask), Instruction(EQUAL, 0, 0, value)]


def _packed(step: Instruction) -> bytes:
    """``struct sock_filter``."""
    code = step.code.to_bytes(2, "little")
    return code + bytes((step.then, step.otherwise)) + step.operand.to_bytes(4, "little")


def _holds() -> bool:
    """Try: a file by its name, and a socket."""
    return _refuses(Path("/").stat) and _refuses(lambda: socket.socket().close())


def _refuses(attempt: Callable[[], object]) -> bool:
    try:
        attempt()
    except PermissionError:
        return True
    return False
