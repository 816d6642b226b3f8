"""Limits of the process on its own memory, processor time and files."""

import math
import resource
import time

_DESCRIPTORS = 32  # a video takes four: two received, and their maps each hold one


def apply(memory_bytes: int) -> bool:
    """Set what stays the same from video to video, for good; whether it holds."""
    limits = {
        resource.RLIMIT_AS: memory_bytes,
        resource.RLIMIT_CORE: 0,
        resource.RLIMIT_FSIZE: 0,
        resource.RLIMIT_NOFILE: _DESCRIPTORS,
        resource.RLIMIT_NPROC: 0,
    }
    try:
        for kind, limit in limits.items():
            resource.setrlimit(kind, (limit, limit))
    except (OSError, ValueError):  # an address space that cannot be bounded (macOS)
        return False
    return all(resource.getrlimit(kind) == (limit, limit) for kind, limit in limits.items())


def grant_cpu(seconds: int) -> None:
    """Let the process run for ``seconds`` more (rounded up to whole seconds of its life); then SIGXCPU ends it."""
    soft, hard = math.ceil(time.process_time()) + seconds, resource.getrlimit(resource.RLIMIT_CPU)[1]
    resource.setrlimit(resource.RLIMIT_CPU, (soft if hard == resource.RLIM_INFINITY else min(soft, hard), hard))
