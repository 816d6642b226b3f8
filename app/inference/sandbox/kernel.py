"""System calls that Python has no function for."""

import ctypes
import os
import platform
import sys

_LIBC = ctypes.CDLL(None, use_errno=True)

_PR_SET_NO_NEW_PRIVS = 38
_PR_GET_NO_NEW_PRIVS = 39


def machine() -> str | None:
    """``x86_64`` or ``aarch64``; None where the sandbox does not know the numbers of the system calls."""
    known = sys.platform == "linux" and sys.maxsize > 2**32 and platform.machine() in {"x86_64", "aarch64"}
    return platform.machine() if known else None


def syscall(number: int, *arguments: object) -> int:
    """The result. Raises: OSError: the kernel refuses."""
    result: int = _LIBC.syscall(ctypes.c_long(number), *arguments)
    return _checked(result)


def prctl(option: int, *arguments: object) -> int:
    """The result. Raises: OSError: the kernel refuses."""
    result: int = _LIBC.prctl(option, *arguments)
    return _checked(result)


def refuse_new_privileges() -> bool:
    """For good, and for all that this process starts; whether it holds. Landlock and seccomp ask for it."""
    if machine() is None:
        return False
    zero = ctypes.c_ulong(0)
    try:
        prctl(_PR_SET_NO_NEW_PRIVS, ctypes.c_ulong(1), zero, zero, zero)
        return prctl(_PR_GET_NO_NEW_PRIVS, zero, zero, zero, zero) == 1
    except OSError:
        return False


def _checked(result: int) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return result
