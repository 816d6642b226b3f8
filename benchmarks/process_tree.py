"""A process and everything that it started: memory, and the end of it."""

import contextlib
import os
import signal
from collections import defaultdict
from pathlib import Path


def process_tree(pid: int) -> list[int]:
    """``pid`` and its descendants, parents first; without those that have ended."""
    children: dict[int, list[int]] = defaultdict(list)
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and (stat := _stat(entry)):
            children[int(stat[1])].append(int(entry.name))
    found = [pid]
    for process in found:  # grows while it is read
        found.extend(children[process])
    return found


def resident_mib(pid: int) -> float:
    """Proportional resident memory of the whole tree, MiB (shared pages count once)."""
    return round(sum(_proportional_kib(process) for process in process_tree(pid)) / 1024, 1)


def processor_seconds(pid: int) -> float:
    """Processor time of the whole tree so far, s; with that of descendants that have ended."""
    ticks = sum(int(value) for process in process_tree(pid) for value in _stat(Path(f"/proc/{process}"))[11:15])
    return ticks / os.sysconf("SC_CLK_TCK")


def thread_seconds(thread: int) -> float:
    """Processor time of one thread so far, s; the main thread of a process has the process's number."""
    return sum(int(value) for value in _stat(Path(f"/proc/{thread}/task/{thread}"))[11:13]) / os.sysconf("SC_CLK_TCK")


def kill(pids: list[int]) -> None:
    """SIGKILL to those that still run."""
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def _stat(entry: Path) -> list[str]:
    """What stands behind the name in ``/proc/<pid>/stat``, from the state on; nothing where the process has ended."""
    try:
        return (entry / "stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return []


def _proportional_kib(pid: int) -> int:
    try:
        rollup = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except (FileNotFoundError, ProcessLookupError):
        return 0
    return next((int(line.split()[1]) for line in rollup if line.startswith("Pss:")), 0)
