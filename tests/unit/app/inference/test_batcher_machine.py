"""The batcher as a state machine: callers come and go, batches fail, the device runs out of memory, in any order.

Whatever happens, each clip gets one outcome and its own. `make fuzz` gives it 1,000 runs of 50 steps.
"""

import asyncio
from time import monotonic

import numpy as np
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, invariant, rule

from app.errors import DeadlineExceeded, Draining, InferenceFailed, QueueFull
from app.inference.batch_run import Probabilities
from app.inference.batcher import Batcher, BatchPolicy
from tests.unit.app.inference.echo_model import NOW_SECONDS, SHAPE, EchoModel, clip, number_of

LATER = 60.0

Asked = asyncio.Task[Probabilities]


class BatcherMachine(RuleBasedStateMachine):
    """Steps of callers, of the model and of the event loop."""

    asked = Bundle("asked")

    @initialize(batch_size=st.integers(1, 5), queue_size=st.integers(1, 12), lanes=st.integers(1, 3))
    def start(self, batch_size: int, queue_size: int, lanes: int) -> None:
        """An empty queue in front of a model that does not answer yet."""
        self.loop = asyncio.new_event_loop()
        self.policy = BatchPolicy(max_batch_size=batch_size, max_queue_size=queue_size, lanes=lanes)
        self.callers: list[Asked] = []
        self.closing: asyncio.Task[None] | None = None

        async def build() -> None:
            self.model = EchoModel()
            self.model.gate.clear()
            self.queue = Batcher("machine/1", SHAPE, 2, self.model, self.policy)

        self.loop.run_until_complete(build())

    def _ask(self, seconds: float, poison: bool, flow: str | None = None) -> Asked:
        number = len(self.callers)
        if poison:
            self.model.poison.add(number)
        task = self.loop.create_task(self.queue.infer(clip(number), monotonic() + seconds, flow))
        self.callers.append(task)
        return task

    @rule(target=asked, poison=st.booleans(), flow=st.sampled_from([None, "a", "b"]))
    def arrive(self, poison: bool, flow: str | None) -> Asked:
        """A caller with time to wait, alone or one of several of a request."""
        return self._ask(LATER, poison, flow)

    @rule(target=asked)
    def arrive_too_late(self) -> Asked:
        """A caller whose deadline has passed."""
        return self._ask(-1.0, poison=False)

    @rule(caller=asked)
    def leave(self, caller: Asked) -> None:
        """A caller hangs up."""
        caller.cancel()

    @rule(steps=st.integers(1, 5))
    def go_on(self, steps: int) -> None:
        """Let every task take some steps."""
        for _ in range(steps):
            self.loop.run_until_complete(asyncio.sleep(0))

    @rule(is_open=st.booleans())
    def model_answers(self, is_open: bool) -> None:
        """The model goes on, or stops at its next batch."""
        self.model.gate.set() if is_open else self.model.gate.clear()

    @rule(memory=st.integers(1, 6))
    def memory_changes(self, memory: int) -> None:
        """The device holds so many clips from now on."""
        self.model.memory = memory

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
            if isinstance(outcome, np.ndarray):
                assert number not in self.model.poison
                assert number_of(outcome) == number
            elif isinstance(outcome, InferenceFailed):
                assert number in self.model.poison
            elif isinstance(outcome, Draining):
                assert self.closing
            else:
                assert isinstance(outcome, asyncio.CancelledError | DeadlineExceeded | QueueFull)
        assert len(set(self.model.answered)) == len(self.model.answered), "a clip was computed twice"


TestBatcher = BatcherMachine.TestCase
