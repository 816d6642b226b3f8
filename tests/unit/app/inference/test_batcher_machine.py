"""The batcher as a state machine: callers come and go, batches fail, the device runs out of memory, in any order.

Whatever happens, each clip gets one outcome and its own. `make fuzz` gives it 1,000 runs of 50 steps.
"""

import asyncio
from collections.abc import Sequence
from time import monotonic

import numpy as np
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, invariant, rule
from numpy.typing import NDArray

from app.errors import DeadlineExceeded, Draining, InferenceFailed, QueueFull
from app.inference.batch_run import OutOfDeviceMemory
from app.inference.batcher import Batcher, BatchPolicy, Outcome

SHAPE = (1, 1, 1, 3)
LATER = 60.0
POISON = 1
"""Second byte of a clip that makes its batch fail."""

Asked = asyncio.Task[Outcome]


class Model:
    """Answers each clip with its number; a batch ends when the machine says so."""

    def __init__(self) -> None:
        self.memory = 100
        self.computed: list[int] = []
        self.largest = 0
        self.gate = asyncio.Event()

    async def __call__(self, clips: Sequence[NDArray[np.uint8]]) -> NDArray[np.float32]:
        self.largest = max(self.largest, len(clips))
        await self.gate.wait()
        if len(clips) > self.memory:
            raise OutOfDeviceMemory
        if any(clip.flat[1] == POISON for clip in clips):
            raise RuntimeError("poison")
        numbers = [int(clip.flat[0]) for clip in clips]
        self.computed += numbers
        return np.array([[n, -n] for n in numbers], np.float32)


class BatcherMachine(RuleBasedStateMachine):
    """Steps of callers, of the model and of the event loop."""

    asked = Bundle("asked")

    @initialize(batch_size=st.integers(1, 5), queue_size=st.integers(1, 12))
    def start(self, batch_size: int, queue_size: int) -> None:
        """An empty queue in front of a model that does not answer yet."""
        self.loop = asyncio.new_event_loop()
        self.policy = BatchPolicy(max_batch_size=batch_size, max_queue_size=queue_size)
        self.callers: list[tuple[Asked, bool]] = []
        self.closing: asyncio.Task[None] | None = None

        async def build() -> None:
            self.model = Model()
            self.queue = Batcher("machine/1", SHAPE, 2, self.model, self.policy)

        self.loop.run_until_complete(build())

    def _ask(self, seconds: float, poison: bool) -> Asked:
        clip = np.array([len(self.callers) % 256, poison * POISON, 0], np.uint8).reshape(SHAPE)
        task = self.loop.create_task(self.queue.infer(clip, monotonic() + seconds))
        self.callers.append((task, poison))
        return task

    @rule(target=asked, poison=st.booleans())
    def arrive(self, poison: bool) -> Asked:
        """A caller with time to wait."""
        return self._ask(LATER, poison)

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
            assert self.model.largest <= self.policy.max_batch_size

    def teardown(self) -> None:
        """In the end nobody is left waiting, and everybody has what is theirs."""
        if not hasattr(self, "queue"):
            return
        try:
            self.loop.run_until_complete(asyncio.wait_for(self._settle(), 5))
        finally:
            self.loop.close()

    async def _settle(self) -> None:
        self.model.gate.set()
        outcomes = await asyncio.gather(*(task for task, _ in self.callers), return_exceptions=True)
        await self.queue.close()
        for number, ((_, poison), outcome) in enumerate(zip(self.callers, outcomes, strict=True)):
            if isinstance(outcome, Outcome):
                assert not poison
                assert int(outcome.probabilities[0]) == number
            elif isinstance(outcome, InferenceFailed):
                assert poison
            elif isinstance(outcome, Draining):
                assert self.closing
            else:
                assert isinstance(outcome, asyncio.CancelledError | DeadlineExceeded | QueueFull)
        assert len(set(self.model.computed)) == len(self.model.computed), "a clip was answered twice"


TestBatcher = BatcherMachine.TestCase
