"""The stages of one video, timed: for the metrics at once, for answer, log and trace in a record where one is kept.

upload | decode | queue | model      one after the other, without a gap
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from time import perf_counter, time_ns

from app.observability import metrics


@dataclass
class StageTimes:
    """The stages that one video has left behind, in order."""

    started_ns: int = field(default_factory=time_ns)
    """Begin of the first stage, since 1970."""
    seconds: dict[str, float] = field(default_factory=dict)

    @property
    def ms(self) -> dict[str, float]:
        """As people read them."""
        return {stage: round(seconds * 1000, 3) for stage, seconds in self.seconds.items()}

    def server_timing(self) -> str:
        """The value of the header ``Server-Timing``."""
        return ", ".join(f"{stage};dur={ms}" for stage, ms in self.ms.items())


@dataclass
class Timer:
    """How long a stage took, once it is over."""

    seconds: float = 0.0


# where a stage ends, nobody knows the request; a task that is started within a record writes into it
_kept: ContextVar[StageTimes | None] = ContextVar("stage_times", default=None)


@contextmanager
def keep_record() -> Iterator[StageTimes]:
    """A record of the stages that end within the block, for one video."""
    times = StageTimes()
    token = _kept.set(times)
    try:
        yield times
    finally:
        _kept.reset(token)


def record(stage: str, seconds: float) -> None:
    """A stage has ended, well or not."""
    metrics.STAGE_SECONDS.labels(stage).observe(seconds)
    if times := _kept.get():
        times.seconds[stage] = seconds


def skip(*stages: str) -> None:
    """The video went past these: 0 s in its record, nothing in the metrics."""
    if times := _kept.get():
        times.seconds.update(dict.fromkeys(stages, 0.0))


@contextmanager
def timed(stage: str) -> Iterator[Timer]:
    """The block is the stage."""
    timer, started = Timer(), perf_counter()
    try:
        yield timer
    finally:
        timer.seconds = perf_counter() - started
        record(stage, timer.seconds)
