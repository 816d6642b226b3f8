"""The stages of one video, timed: for the metrics at once, for answer, log and trace in a record where one is kept.

upload | decode | queue | model      one after the other, without a gap
"""

from collections.abc import Iterable, Iterator, Mapping
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
    _note({stage: seconds})


def skip(*stages: str) -> None:
    """The video went past these: 0 s in its record, nothing in the metrics."""
    _note(dict.fromkeys(stages, 0.0))


def note_longest(side_by_side: Iterable[StageTimes]) -> None:
    """Several videos, or clips, went on side by side: the record of their request gets the stages of the longest of them.

    A stage that it has already stays as it is, and nothing is counted anew in the metrics.
    """
    if times := _kept.get():
        added = ({stage: s for stage, s in each.seconds.items() if stage not in times.seconds} for each in side_by_side)
        _note(max(added, key=lambda seconds: sum(seconds.values()), default={}))


def _note(seconds: Mapping[str, float]) -> None:
    if times := _kept.get():
        times.seconds.update(seconds)


@contextmanager
def timed(stage: str, *, counted: bool = True) -> Iterator[Timer]:
    """The block is the stage. Not ``counted``: it is on record alone, where several videos are in it that are counted apart."""
    timer, started = Timer(), perf_counter()
    try:
        yield timer
    finally:
        timer.seconds = perf_counter() - started
        if counted:
            record(stage, timer.seconds)
        else:
            _note({stage: timer.seconds})
