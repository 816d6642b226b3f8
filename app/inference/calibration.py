"""Lanes, threads and batch size by measuring them at the start, each for as long as a few runs take.

Nothing of it can be known before: on two cores, an INT8 ResNet-50 gives a tenth more clips in two lanes of one thread than in
one of two, and batches slow it down; a GPU wants batches. Where a larger batch is hardly faster the smaller one is taken,
because its clips are answered sooner.
"""

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from app.inference.batch_run import OutOfDeviceMemory
from app.inference.execution_plan import ExecutionPlan, PlanRequest
from app.inference.provider_options import Provider
from app.inference.session import ProviderUnavailable, Session
from app.inference.speed import WORTH_IT, Speed, measure

OpenSession = Callable[[int, int], Session]
"""Threads and largest batch to a session that was not run yet."""

_LONE_WORTH_IT = 1.25
_UNDISTURBED = 0.95


@dataclass(frozen=True)
class Calibrated:
    """The plan, and the warm sessions that go with it."""

    plan: ExecutionPlan
    sessions: list[Session]
    """One for all lanes on a CPU, one for each lane on a GPU."""
    lone: Session | None
    """For a run that has all processors to itself; None where it is no sooner there than in a lane."""
    is_certain: bool
    """Whether the plan is worth remembering."""

    def close(self) -> None:
        """Free the sessions."""
        for session in [*self.sessions, *([self.lone] if self.lone else [])]:
            session.close()


@dataclass(frozen=True)
class Trial:
    """A division of the processors, and the best batch size for it."""

    lanes: int
    threads: int
    sessions: list[Session]
    speeds: dict[int, Speed]
    """By batch size; those that were tried."""
    batch_size: int

    @property
    def rate(self) -> float:
        """Clips a second with the best batch size."""
        return self.speeds[self.batch_size].clips_per_second

    @property
    def was_undisturbed(self) -> bool:
        """Whether nobody else used the processors meanwhile: then another measurement would say the same."""
        return self.speeds[self.batch_size].processors_used >= _UNDISTURBED * self.lanes * self.threads

    @property
    def was_steady(self) -> bool:
        """Whether the largest batch that was tried had no fewer processors than the best: else it may have lost by that."""
        return self.speeds[max(self.speeds)].processors_used >= _UNDISTURBED * self.speeds[self.batch_size].processors_used

    @property
    def single_rate(self) -> float:
        """Clips a second, of one lane, one at a time; 0 where it was not tried."""
        return self.speeds[1].clips_per_second / self.lanes if 1 in self.speeds else 0.0


def calibrate(open_session: OpenSession, clip_shape: tuple[int, ...], provider: Provider, asked: PlanRequest) -> Calibrated:
    """Try what comes into question. Blocks, for about a second on two cores.

    Raises: ProviderUnavailable: the model does not run. OutOfDeviceMemory: not even one clip at a time.
    """
    clip = np.random.default_rng(0).integers(0, 256, clip_shape, np.uint8)
    first, *others = asked.divisions(provider)
    sizes = asked.batch_sizes(provider)
    trials = [_try(open_session, first, clip, provider, sizes)]
    for division in others:
        if provider == "cpu":  # the threads of a lane wait for each other: fewer of them have less to gain from a larger batch
            sizes = [size for size in sizes if size <= trials[-1].batch_size] or [trials[-1].batch_size]
        with suppress(OutOfDeviceMemory, ProviderUnavailable):  # more lanes than there is memory for
            trials.append(_try(open_session, division, clip, provider, sizes))
    chosen, quickest = choose(trials, on_processors=provider == "cpu")
    for session in (session for trial in trials if trial not in (chosen, quickest) for session in trial.sessions):
        session.close()
    plan = ExecutionPlan(chosen.lanes, chosen.threads, chosen.batch_size, quickest.threads, round(chosen.rate, 2))
    narrow = [trial for trial in trials if trial.threads == 1]  # threads of one lane wait for each other, whoever else is there
    certain = bool(narrow) and all(trial.was_undisturbed for trial in narrow) and all(trial.was_steady for trial in trials)
    return Calibrated(plan, chosen.sessions, None if quickest is chosen else quickest.sessions[0], certain)


def prepare(open_session: OpenSession, plan: ExecutionPlan) -> Calibrated:
    """What a plan for processors asks for, warm, without trying anything else. Raises: as ``calibrate``."""
    session = open_session(plan.intra_op_threads, plan.max_batch_size)
    session.warm_up([plan.max_batch_size])
    session.shrink()
    if plan.lone_threads == plan.intra_op_threads:
        return Calibrated(plan, [session], None, is_certain=True)
    lone = open_session(plan.lone_threads, 1)
    lone.warm_up([1])
    lone.shrink()
    return Calibrated(plan, [session], lone, is_certain=True)


def choose(trials: Sequence[Trial], *, on_processors: bool = True) -> tuple[Trial, Trial]:
    """What clips that come together get, and what one gets that is alone.

    Together: the fastest. Of those that are about as fast, on processors the one with most lanes, which hardly depends on what
    else the machine does; on a GPU, where each lane takes memory, the one with fewest. Alone: the quickest for one clip, where
    that is much sooner; a GPU has nothing more to give it.
    """
    fastest = max(trial.rate for trial in trials)
    good = [trial for trial in trials if trial.rate * WORTH_IT >= fastest]
    if not on_processors:
        fewest = min(good, key=lambda trial: trial.lanes)
        return fewest, fewest
    chosen = max(good, key=lambda trial: trial.lanes)
    quickest = max(trials, key=lambda trial: trial.single_rate)
    return chosen, quickest if quickest.single_rate >= _LONE_WORTH_IT * chosen.single_rate else chosen


def _try(
    open_session: OpenSession, division: tuple[int, int], clip: NDArray[np.uint8], provider: Provider, sizes: list[int]
) -> Trial:
    lanes, threads = division
    num_sessions = 1 if provider == "cpu" else lanes
    sessions, sizes = _open_warm(lambda largest: open_session(threads, largest), num_sessions, sizes, provider)
    speeds: dict[int, Speed] = {}
    best = sizes[0]
    for size in sizes:
        try:
            speeds[size] = measure(sessions, lanes, [clip] * size)
        except OutOfDeviceMemory:
            if size == sizes[0]:
                raise
            break
        if size > best and not speeds[size].is_worth_more_than(speeds[best], on_processors=provider == "cpu"):
            break
        best = size
    return Trial(lanes, threads, sessions, speeds, best)


def _open_warm(
    open_session: Callable[[int], Session], num_sessions: int, sizes: list[int], provider: Provider
) -> tuple[list[Session], list[int]]:
    """Sessions that have run, on a GPU every size, the largest first; and the sizes that there is memory for."""
    while True:
        sessions: list[Session] = []
        try:
            for _ in range(num_sessions):
                session = open_session(sizes[-1])
                sessions.append(session)
                session.warm_up(sizes[:1] if provider == "cpu" else session.options.batch_buckets(provider))
        except (OutOfDeviceMemory, ProviderUnavailable) as problem:
            for session in sessions:
                session.close()
            if sizes[-1] == 1 or isinstance(problem, ProviderUnavailable):
                raise
            sizes = sizes[:-1] or [sizes[-1] // 2]
        else:
            return sessions, sizes
