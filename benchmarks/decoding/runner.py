"""Each contestant in a process of its own: a crash or a hang costs that contestant one video, and no two FFmpegs share memory.

The processes take turns on one core: while one decodes, the others wait for a message.
"""

import importlib
import multiprocessing
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any

from benchmarks.decoding.contestant import Contestant, Decode
from benchmarks.decoding.wanted import Wanted

_TIMEOUT_SECONDS = 8.0
_TIMEOUT_SECONDS_PER_FRAME = 0.05


CLOCKS = {"wall": time.perf_counter, "cpu": time.process_time}
"""What a turn may be timed with; processor time counts all threads of the process."""


class ContestantFailed(Exception):
    """A contestant raised, crashed or hung on one video; the text says which."""


class NotInstalled(Exception):
    """The library of a contestant cannot be imported."""


@dataclass(frozen=True)
class Turn:
    """One video, decoded once."""

    seconds: float
    result: Any
    """The frames of a contestant; None where none were asked for, or it gives none."""


class Runner:
    """Starts the process of one contestant, anew after a crash or a hang; on one ``core``, or on all."""

    def __init__(self, contestant: Contestant, core: int | None = None, clock: str = "wall") -> None:
        self.contestant, self._core, self._clock = contestant, core, clock
        self.versions: dict[str, str] = {}
        self._start()

    def run(self, video: Wanted, keep_result: bool = True) -> Turn:
        """Raises: ContestantFailed."""
        timeout = _TIMEOUT_SECONDS + _TIMEOUT_SECONDS_PER_FRAME * video.frame_count
        self._pipe.send((video, keep_result))
        try:
            if not self._pipe.poll(timeout):
                raise ContestantFailed(f"no answer within {timeout:.0f} s")
            answer = self._pipe.recv()
        except (EOFError, ConnectionError, ContestantFailed) as problem:
            self.close()
            code = self._process.exitcode
            self._start()
            raise ContestantFailed(str(problem) or f"the process died ({code})") from problem
        if isinstance(answer, str):
            raise ContestantFailed(answer)
        return Turn(*answer)

    def close(self) -> None:
        """End the process."""
        self._pipe.close()
        self._process.kill()
        self._process.join()

    def _start(self) -> None:
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(self.contestant, self._core, self._clock, theirs), daemon=True)
        self._process.start()
        theirs.close()
        try:
            versions = self._pipe.recv()
        except EOFError:
            versions = "its process died while it started"
        if isinstance(versions, str):
            self.close()
            raise NotInstalled(f"{self.contestant.name}: {versions}")
        self.versions = versions


def _serve(contestant: Contestant, core: int | None, clock: str, pipe: Connection) -> None:
    if core is not None:
        os.sched_setaffinity(0, {core})  # all threads: some libraries start several whatever they are told
    try:
        library: Any = importlib.import_module(f"benchmarks.decoding.{contestant.library}")
    except (ImportError, OSError, RuntimeError) as problem:  # torchcodec without FFmpeg raises RuntimeError
        pipe.send(_first_line(problem))
        return
    pipe.send(library.VERSIONS)
    while True:
        try:
            video, keep_result = pipe.recv()
        except EOFError:  # the benchmark is over, or was interrupted
            return
        try:
            seconds, result = _timed(library.CONTESTANTS[contestant.name](video, video.path.read_bytes()), CLOCKS[clock])
        except Exception as problem:  # noqa: BLE001 - each library has errors of its own, and all of them count
            pipe.send(_first_line(problem))
        else:
            pipe.send((seconds, result if keep_result else None))


def _timed(decode: Decode, now: Callable[[], float]) -> tuple[float, object]:
    start = now()
    result = decode()
    return now() - start, result


def _first_line(problem: Exception) -> str:
    lines = str(problem).strip().splitlines()
    return f"{type(problem).__name__}: {lines[0][:160]}" if lines else type(problem).__name__
