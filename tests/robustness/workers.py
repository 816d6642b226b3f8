"""The decode processes of a live server, seen from outside through /proc."""

import os
import threading
from contextlib import suppress
from pathlib import Path
from types import TracebackType

from tests.live_server import LiveServer

_TICKS = os.sysconf("SC_CLK_TCK")
_LOOK_SECONDS = 0.02
_BUSY_SECONDS = 0.2


def decode_processes(server_pid: int) -> list[int]:
    """Process ids of the children that decode."""
    tasks = Path(f"/proc/{server_pid}/task").glob("*/children")
    children = [int(pid) for path in tasks for pid in _text(path).split()]
    return [pid for pid in children if "decode_process" in _text(Path(f"/proc/{pid}/cmdline"))]


def locked_in_processes(server_pid: int) -> list[int]:
    """Those that have gone into the sandbox, the last step of their start but for one small decode."""
    return [pid for pid in decode_processes(server_pid) if _field(pid, "Seccomp") == "2"]


def busy_process(live: LiveServer) -> int:
    """The one that works while nothing else is asked of the server."""
    before = {pid: cpu_seconds(pid) for pid in decode_processes(live.process.pid)}
    busy: list[int] = []

    def found() -> bool:
        busy.extend(pid for pid, seconds in before.items() if cpu_seconds(pid) > seconds + _BUSY_SECONDS)
        return bool(busy)

    live.until(found)
    return busy[0]


def cpu_seconds(pid: int) -> float:
    """Processor time so far; 0 where the process is gone."""
    fields = _text(Path(f"/proc/{pid}/stat")).rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS if fields else 0.0


def peak_bytes(pid: int) -> int:
    """Most resident memory so far; 0 where the process is gone."""
    return 1024 * int((_field(pid, "VmHWM") or "0 kB").split()[0])


def forget_peak(pid: int) -> None:
    """Let ``peak_bytes`` count from now on."""
    with suppress(OSError):  # it is gone
        Path(f"/proc/{pid}/clear_refs").write_text("5")


class PeakMemory:
    """Watches the decode processes for as long as the ``with`` lasts, those too that end in between."""

    def __init__(self, server_pid: int) -> None:
        self.bytes = 0
        self._server_pid = server_pid
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> "PeakMemory":
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._over.set()
        self._thread.join()

    def _watch(self) -> None:
        while True:
            over = self._over.wait(_LOOK_SECONDS)
            self.bytes = max(self.bytes, *map(peak_bytes, decode_processes(self._server_pid)), 0)
            if over:
                return


def _field(pid: int, name: str) -> str:
    """A field of /proc/PID/status; empty where the process is gone."""
    lines = _text(Path(f"/proc/{pid}/status")).splitlines()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith(f"{name}:")), "")


def _text(path: Path) -> str:
    """Empty where the process is gone."""
    try:
        return path.read_text()
    except OSError:
        return ""
