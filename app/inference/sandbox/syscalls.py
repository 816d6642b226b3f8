"""The system calls that a decode process may make, and their numbers. All others fail with EPERM.

None of them takes the name of anything: what a process may touch is what it was handed. A decoder of one thread needs little
more than memory; the rest is for Python's signals and for the pipe to the server.
"""

import mmap
import os
import resource
from typing import NamedTuple


class Condition(NamedTuple):
    """``argument & mask == value``."""

    argument: int
    value: int
    mask: int = 2**64 - 1


class Rule(NamedTuple):
    """A system call, allowed where all conditions hold."""

    name: str
    conditions: tuple[Condition, ...] = ()


# x86_64, aarch64. Source: asm/unistd_64.h and asm-generic/unistd.h of Linux 6.18
NUMBERS = {
    "brk": (12, 214),
    "clock_gettime": (228, 113),
    "close": (3, 57),
    "exit_group": (231, 94),
    "fcntl": (72, 25),
    "futex": (202, 98),
    "getpid": (39, 172),
    "getrandom": (318, 278),
    "gettid": (186, 178),
    "madvise": (28, 233),
    "mmap": (9, 222),
    "mprotect": (10, 226),
    "mremap": (25, 216),
    "munmap": (11, 215),
    "prlimit64": (302, 261),
    "recvmsg": (47, 212),
    "restart_syscall": (219, 128),
    "rt_sigaction": (13, 134),
    "rt_sigprocmask": (14, 135),
    "rt_sigreturn": (15, 139),
    "sched_getaffinity": (204, 123),
    "sendmsg": (46, 211),
    "tgkill": (234, 131),
}

_INT = 2**32 - 1
_F_GETFD, _F_SETFD, _F_DUPFD_CLOEXEC = 1, 2, 1030

_UNCONDITIONAL = (
    # memory
    *("brk", "madvise", "mremap", "munmap"),
    # the pipe, and what came through it
    *("recvmsg", "sendmsg", "close"),
    # Python and the C library: locks, clocks, seeds, how many processors there are, signals, the end
    *("futex", "clock_gettime", "getrandom", "sched_getaffinity", "getpid", "gettid"),
    *("rt_sigaction", "rt_sigprocmask", "rt_sigreturn", "restart_syscall", "exit_group"),
)


def rules() -> list[Rule]:
    """What the calling process may do."""
    no_code = Condition(2, 0, mmap.PROT_EXEC)
    return [
        *(Rule(name) for name in _UNCONDITIONAL),
        Rule("mmap", (no_code,)),
        Rule("mprotect", (no_code,)),
        # a map holds a duplicate of its descriptor
        *(Rule("fcntl", (Condition(1, command, _INT),)) for command in (_F_GETFD, _F_SETFD, _F_DUPFD_CLOEXEC)),
        # reading limits, and granting itself the time of the next video
        Rule("prlimit64", (Condition(0, 0, _INT), Condition(2, 0))),
        Rule("prlimit64", (Condition(0, 0, _INT), Condition(1, resource.RLIMIT_CPU, _INT))),
        # abort() signals the process itself
        Rule("tgkill", (Condition(0, os.getpid(), _INT),)),
    ]
