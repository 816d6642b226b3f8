"""How many processors this process may use: affinity and cgroup quota, not what the machine has."""

import math
import os
from collections.abc import Iterator
from pathlib import Path

_CGROUP = Path("/sys/fs/cgroup")
_MEMBERSHIP = Path("/proc/self/cgroup")


def usable_processors(cgroup: Path = _CGROUP, membership: Path = _MEMBERSHIP) -> int:
    """Processors that may run this process at once, at least 1.

    A container with ``--cpus 2`` on 64 cores -> 2: neither onnxruntime nor ``os.cpu_count`` sees the quota.
    """
    affinity = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quota = _quota_v2(cgroup, membership) or _quota_v1(cgroup)
    return max(1, min(affinity, math.ceil(quota)) if quota else affinity)


def _quota_v2(cgroup: Path, membership: Path) -> float | None:
    """The smallest of the process's own group and of those above it: each bounds all that are below."""
    quotas = (_quota_of(group) for group in _groups(cgroup, membership))
    return min((quota for quota in quotas if quota is not None), default=None)


def _groups(cgroup: Path, membership: Path) -> Iterator[Path]:
    """From the root of what is mounted down to the group of this process, as far as its folders are there.

    Within a container its own group is the root; on a host, or a service of systemd, it is some steps below.
    """
    yield cgroup
    for name in filter(None, _own_path(membership).split("/")):
        cgroup = cgroup / name
        if name == ".." or not cgroup.is_dir():  # the group is not within what is mounted
            return
        yield cgroup


def _own_path(membership: Path) -> str:
    """``0::/system.slice/clipserve.service`` -> ``/system.slice/clipserve.service``; empty where version 2 is not in use."""
    try:
        lines = membership.read_text(encoding="utf-8", errors="surrogateescape").splitlines()
    except OSError:
        return ""
    return next((line.removeprefix("0::") for line in lines if line.startswith("0::")), "")


def _quota_of(group: Path) -> float | None:
    """``cpu.max`` holds ``200000 100000`` (two processors) or ``max 100000``."""
    try:
        quota, period = (group / "cpu.max").read_text(encoding="ascii").split()
        return int(quota) / int(period)
    except (OSError, ValueError):
        return None


def _quota_v1(cgroup: Path) -> float | None:
    try:
        quota, period = (int((cgroup / "cpu" / name).read_text("ascii")) for name in ("cpu.cfs_quota_us", "cpu.cfs_period_us"))
    except (OSError, ValueError):
        return None
    return quota / period if quota > 0 and period > 0 else None
