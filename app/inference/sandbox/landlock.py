"""Landlock with rules for nothing: no file by its name, no TCP port, no signal or abstract socket of other processes.

Source: https://docs.kernel.org/userspace-api/landlock.html
"""

import ctypes
import os
import socket

from app.inference.sandbox.kernel import machine, syscall

# the same numbers on every architecture
_CREATE_RULESET, _RESTRICT_SELF = 444, 446
_VERSION = 1

# how many of the rights to files a kernel of this ABI knows
_FILE_RIGHTS = {1: 13, 2: 14, 3: 15, 4: 15, 5: 16}
_PORTS = 0b11  # bind, connect
_SCOPES = 0b11  # abstract sockets, signals
_PORTS_SINCE, _SCOPES_SINCE = 4, 6


class _Ruleset(ctypes.Structure):
    """``struct landlock_ruleset_attr``: what is forbidden unless a rule allows it."""

    _fields_ = (("files", ctypes.c_uint64), ("ports", ctypes.c_uint64), ("scopes", ctypes.c_uint64))


def apply() -> int:
    """Forbid all that the kernel can, for good, for the calling thread; its ABI, or 0 where nothing is forbidden."""
    abi = available_abi()
    try:
        return abi if abi and _restrict(abi) and _holds(abi) else 0
    except OSError:  # a container's own filter lets the question through, and not the deed
        return 0


def available_abi() -> int:
    """What the kernel offers; 0 where it offers nothing."""
    try:
        return syscall(_CREATE_RULESET, None, ctypes.c_size_t(0), _VERSION) if machine() else 0
    except OSError:  # not built in, or not switched on
        return 0


def _restrict(abi: int) -> bool:
    rules, size = _forbid_all(abi)
    descriptor = syscall(_CREATE_RULESET, ctypes.byref(rules), ctypes.c_size_t(size), 0)
    try:
        return syscall(_RESTRICT_SELF, descriptor, 0) == 0
    finally:
        os.close(descriptor)


def _forbid_all(abi: int) -> tuple[_Ruleset, int]:
    """The rules, and how many bytes of them a kernel of this ABI reads."""
    files = (1 << _FILE_RIGHTS[min(abi, max(_FILE_RIGHTS))]) - 1
    ports, scopes = abi >= _PORTS_SINCE, abi >= _SCOPES_SINCE
    return _Ruleset(files, _PORTS * ports, _SCOPES * scopes), 8 * (1 + ports + scopes)


def _holds(abi: int) -> bool:
    """Try: the root folder can be read by all, so that Landlock alone refuses it; and so for a port."""
    try:
        os.close(os.open("/", os.O_RDONLY | os.O_DIRECTORY))
    except PermissionError:
        return abi < _PORTS_SINCE or not _can_bind()
    return False


def _can_bind() -> bool:
    with socket.socket() as trial:
        try:
            trial.bind(("127.0.0.1", 0))
        except PermissionError:
            return False
        return True
