"""Lanes, threads and batch size by measuring them at the start, each for as long as a few runs take.

Nothing of it can be known before: on two cores, an INT8 ResNet-50 gives a tenth more clips in two lanes of one thread than in
one of two, and batches slow it down; a GPU wants batches. Some candidates need less time: the smaller batch, or fewer lanes,
is taken where the larger is hardly faster, because its clips are answered sooner.
"""

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from math import ceil

import numpy as np
from numpy.typing import NDArray

from app.inference.batch_run import OutOfDeviceMemory
from app.inference.batch_sizes import batch_buckets
from app.inference.execution_plan import ExecutionPlan, PlanRequest
from app.inference.provider_options import Provider
from app.inference.session import Session

OpenSession = Callable[[int, int], Session]
"""Threads and largest batch to a session that was not run yet."""

_WORTH_IT = 1.05
"""So much faster must a larger batch be, or a division in which a batch takes longer; less is noise."""
_LONE_WORTH_IT = 1.25
_ROUND_SECONDS = 0.05
_ROUNDS = 2


@dataclass(frozen=True)
class Calibrated:
    """The plan, and the warm sessions that go with it."""

    plan: ExecutionPlan
    sessions: list[Session]
    """One for all lanes on a CPU, one for each lane on a GPU."""
    lone: Session | None
    """For a run that has all processors to itself; None where it is no sooner there than in a lane."""


@dataclass(frozen=True)
class Trial:
    """A division of the processors, and the best batch size for it."""

    lanes: int
    threads: int
    sessions: list[Session]
    clips_per_second: dict[int, float]
    """By batch size; those that were tried."""
    batch_size: int

    @property
    def rate(self) -> float:
        return self.clips_per_second[self.batch_size]

    @property
    def batch_seconds(self) -> float:
        return self.lanes * self.batch_size / self.rate

    @property
    def single_rate(self) -> float:
        """Clips a second, of one lane, one at a time; 0 where it was not tried."""
        return self.clips_per_second.get(1, 0.0) / self.lanes


def calibrate(open_session: OpenSession, clip_shape: tuple[int, ...], provider: Provider, asked: PlanRequest) -> Calibrated:
    """Try what comes into question. Blocks, for about a second on two cores.

    Raises: ProviderUnavailable: the model does not run. OutOfDeviceMemory: not even one clip at a time.
    """
    clip = np.random.default_rng(0).integers(0, 256, clip_shape, np.uint8)
    trials = [_try(open_session, division, clip, provider, asked) for division in asked.divisions(provider)]
    chosen, quickest = choose(trials)
    if provider != "cpu":  # a GPU has no processors to hand out
        quickest = chosen
    for session in (session for trial in trials if trial not in (chosen, quickest) for session in trial.sessions):
        session.close()
    plan = ExecutionPlan(chosen.lanes, chosen.threads, chosen.batch_size, quickest.threads, round(chosen.rate, 2))
    return Calibrated(plan, chosen.sessions, None if quickest is chosen else quickest.sessions[0])


def choose(trials: Sequence[Trial]) -> tuple[Trial, Trial]:
    """For clips that come together: the fastest, or one as good as that whose batches take less time.

    For one that is alone: the quickest; the same as the first where that is hardly slower.
    """
    fastest = max(trial.rate for trial in trials)
    chosen = min((trial for trial in trials if trial.rate * _WORTH_IT >= fastest), key=lambda trial: trial.batch_seconds)
    quickest = max(trials, key=lambda trial: trial.single_rate)
    return chosen, quickest if quickest.single_rate >= _LONE_WORTH_IT * chosen.single_rate else chosen


def _try(
    open_session: OpenSession, division: tuple[int, int], clip: NDArray[np.uint8], provider: Provider, asked: PlanRequest
) -> Trial:
    lanes, threads = division
    sizes = asked.batch_sizes(provider)
    num_sessions = 1 if provider == "cpu" else lanes
    sessions, sizes = _open_warm(lambda largest: open_session(threads, largest), num_sessions, sizes, provider)
    rates: dict[int, float] = {}
    best = sizes[0]
    for size in sizes:
        try:
            rates[size] = _clips_per_second(sessions, lanes, [clip] * size)
        except OutOfDeviceMemory:
            if size == sizes[0]:
                raise
            break
        if size > best and rates[size] < _WORTH_IT * rates[best]:
            break
        best = size
    return Trial(lanes, threads, sessions, rates, best)


def _open_warm(
    open_session: Callable[[int], Session], num_sessions: int, sizes: list[int], provider: Provider
) -> tuple[list[Session], list[int]]:
    """Sessions that have run, on a GPU every size, the largest first; and the sizes that there is memory for."""
    while True:
        sessions = [open_session(sizes[-1]) for _ in range(num_sessions)]
        try:
            for session in sessions:
                session.warm_up(sizes[:1] if provider == "cpu" else batch_buckets(sizes[-1]))
        except OutOfDeviceMemory:
            for session in sessions:
                session.close()
            if sizes[-1] == 1:
                raise
            sizes = sizes[:-1] or [sizes[-1] // 2]
        else:
            return sessions, sizes


def _clips_per_second(sessions: Sequence[Session], lanes: int, batch: Sequence[NDArray[np.uint8]]) -> float:
    """Of all lanes at once; the better of a few rounds, because whatever disturbs a round only makes it longer."""
    with ThreadPoolExecutor(lanes) as threads:

        def seconds(repeats: int) -> float:
            start = time.perf_counter()
            runs = [threads.submit(_repeat, sessions[i % len(sessions)], batch, repeats) for i in range(lanes)]
            for run in runs:
                run.result()
            return (time.perf_counter() - start) / repeats

        repeats = max(1, ceil(_ROUND_SECONDS / seconds(1)))
        return lanes * len(batch) / min(seconds(repeats) for _ in range(_ROUNDS))


def _repeat(session: Session, batch: Sequence[NDArray[np.uint8]], repeats: int) -> None:
    for _ in range(repeats):
        session.run(batch)
