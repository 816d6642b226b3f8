"""The way into the sandbox, in the one order that works. There is no way out."""

from contextlib import suppress
from pathlib import Path

from app.inference.sandbox import landlock, rlimits, seccomp
from app.inference.sandbox.kernel import refuse_new_privileges
from app.inference.sandbox.policy import Protections

_THREADS = Path("/proc/self/task")
_FIRST_TO_GO = Path("/proc/self/oom_score_adj")


def lock_in(memory_bytes: int) -> Protections:
    """Give up all that decoding does not need, and say what of it holds.

    Whatever the process will import must be imported, and whatever it will open must be open.

    Raises: RuntimeError: another thread runs; it would go on with all rights.
    """
    if _THREADS.is_dir() and len(list(_THREADS.iterdir())) > 1:
        raise RuntimeError("a process that locks itself in must have one thread")
    with suppress(OSError):  # where memory runs out in spite of all limits: this process, not the server
        _FIRST_TO_GO.write_text("1000")
    limited = rlimits.apply(memory_bytes)
    no_new_privs = refuse_new_privileges()
    # Landlock before seccomp: its trial opens a file, and so could never tell who refused it
    landlock_abi = landlock.apply()
    return Protections(limited, no_new_privs, landlock_abi, seccomp.apply())
