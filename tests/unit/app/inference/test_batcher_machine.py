"""The batcher as a state machine: callers come and go, batches fail, rows are wrong, the device lacks memory, in any order.

Whatever happens, each clip gets one outcome and its own, and none is computed whose caller left before its batch began.
`make fuzz` gives it 1,000 runs of 50 steps.
"""

import asyncio
from time import monotonic

import numpy as np
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, invariant, precondition, rule

from app.errors import DeadlineExceeded, Draining, InferenceFailed, QueueFull
from app.inference.batch_run import Probabilities
from app.inference.batcher import Batcher, BatchPolicy
from tests.unit.app.inference.echo_model import NOW_SECONDS, SHAPE, EchoModel, clip, number_of

LATER = 60.0
DELAY_SECONDS = 0.001
"""Longer than some steps of a test take, and so short that none has to wait for long."""

MOST_LIVELY = 8
"""Callers before the server may go: after that, not much happens any more."""

Asked = asyncio.Task[Probabilities]


class BatcherMachine(RuleBasedStateMachine):
    """Steps of callers, of the model and of the event loop."""

    asked = Bundle("asked")

    @initialize(batch=st.integers(1, 5), queue=st.integers(1, 12), lanes=st.integers(1, 3), waits=st.booleans())
    def start(self, batch: int, queue: int, lanes: int, waits: bool) -> None:
        """An empty queue in front of a model that does not answer yet. With a delay, or without."""
        self.loop = asyncio.new_event_loop()
        self.policy = BatchPolicy(batch, DELAY_SECONDS if waits else 0.0, queue, lanes)
        self.callers: list[Asked] = []
        self.late: set[int] = set()
        self.gone: set[int] = set()
        self.gone_early: set[int] = set()
        self.closing: asyncio.Task[None] | None = None

        async def build() -> None:
            self.model = EchoModel()
            self.model.gate.clear()
            self.queue = Batcher("machine/1", SHAPE, 2, self.model, self.policy)

        self.loop.run_until_complete(build())

    def _ask(self, seconds: float, flow: str | None = None) -> Asked:
        number = len(self.callers)
        task = self.loop.create_task(self.queue.infer(clip(number), monotonic() + seconds, flow))
        self.callers.append(task)
        return task

    @rule(
        target=asked,
        kind=st.sampled_from(["good", "good", "poison", "nonsense"]),
        flow=st.sampled_from([None, "a", "b"]),
        steps=st.integers(0, 3),
    )
    def arrive(self, kind: str, flow: str | None, steps: int) -> Asked:
        """A caller with time to wait, alone or one of several of a request; the next thing happens so many steps later."""
        if kind != "good":
            getattr(self.model, kind).add(len(self.callers))
        caller = self._ask(LATER, flow)
        self.go_on(steps)
        return caller

    @rule(target=asked)
    def arrive_too_late(self) -> Asked:
        """A caller whose deadline has passed."""
        self.late.add(len(self.callers))
        return self._ask(-1.0)

    @rule(caller=asked)
    def leave(self, caller: Asked) -> None:
        """A caller hangs up."""
        number = self.callers.index(caller)
        if caller.cancel():
            self.gone.add(number)
            self.gone_early |= {number} - self.model.given

    @rule()
    def leave_as_the_model_answers(self) -> None:
        """Whoever waits longest, in the moment in which the next batch is put together."""
        waiting = (task for number, task in enumerate(self.callers) if not task.done() and number not in self.model.given)
        self.model_answers(is_open=True)
        if longest := next(waiting, None):
            self.leave(longest)

    @rule(steps=st.integers(1, 5))
    def go_on(self, steps: int) -> None:
        """Let every task take some steps."""
        for _ in range(steps):
            self.loop.run_until_complete(asyncio.sleep(0))

    @precondition(lambda self: self.policy.max_queue_delay_seconds)
    @rule()
    def time_passes(self) -> None:
        """Whoever waits has waited long enough."""
        self.loop.run_until_complete(asyncio.sleep(DELAY_SECONDS))

    @rule(is_open=st.sampled_from([True, True, False]))
    def model_answers(self, is_open: bool) -> None:
        """The model goes on, or stops at its next batch."""
        self.model.gate.set() if is_open else self.model.gate.clear()

    @rule(memory=st.integers(1, 6))
    def memory_changes(self, memory: int) -> None:
        """The device holds so many clips from now on."""
        self.model.memory = memory

    @rule(rows=st.sampled_from([0, 0, -1, 1]))
    def model_miscounts(self, rows: int) -> None:
        """From now on it gives so many rows more than it should."""
        self.model.rows_too_many = rows

    @precondition(lambda self: len(self.callers) > MOST_LIVELY)
    @rule()
    def shut_down(self) -> None:
        """The server goes; callers may still arrive."""
        self.closing = self.closing or self.loop.create_task(self.queue.close())

    @invariant()
    def bounds_hold(self) -> None:
        """No more wait, and no more run at once, than the policy says."""
        if hasattr(self, "queue"):
            assert len(self.queue) <= self.policy.max_queue_size
            assert max(map(len, self.model.batches), default=0) <= self.policy.max_batch_size

    def teardown(self) -> None:
        """In the end nobody is left waiting, and everybody has what is theirs."""
        if not hasattr(self, "queue"):
            return
        try:
            self.loop.run_until_complete(asyncio.wait_for(self._settle(), NOW_SECONDS))
        finally:
            self.loop.close()

    async def _settle(self) -> None:
        self.model.gate.set()
        outcomes = await asyncio.gather(*self.callers, return_exceptions=True)
        await self.queue.close()
        for number, outcome in enumerate(outcomes):
            self._check(number, outcome)
        assert len(set(self.model.answered)) == len(self.model.answered), "a clip was computed twice"
        assert not self.model.given & (self.late | self.gone_early), "a clip was computed for nobody"

    def _check(self, number: int, outcome: Probabilities | BaseException) -> None:
        """It is one that this caller may have."""
        match outcome:
            case np.ndarray():
                assert number_of(outcome) == number
                assert number not in self.model.poison | self.model.nonsense
            case InferenceFailed():
                assert number in self.model.poison | self.model.nonsense | self.model.miscounted
            case asyncio.CancelledError():
                assert number in self.gone
            case DeadlineExceeded():
                assert number in self.late
            case Draining():
                assert self.closing
            case _:
                assert isinstance(outcome, QueueFull)


TestBatcher = BatcherMachine.TestCase
