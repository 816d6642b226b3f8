"""A model for tests of the queue in front of one: it says which clips it was given."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable

import numpy as np
from numpy.typing import NDArray

from app.inference.batch_run import Clips, OutOfDeviceMemory, Probabilities

SHAPE = (1, 2, 2, 3)
NOW_SECONDS = 60.0
"""Longest that any of these tests may take; none waits for time to pass."""


def clip(number: int) -> NDArray[np.uint8]:
    """A clip that ``EchoModel`` answers with ``number`` (0 to 255)."""
    return np.full(SHAPE, number, np.uint8)


def number_of(row: Probabilities) -> float:
    """The number of the clip that was answered so; NaN where it failed."""
    return float(row[0]) * 256


class EchoModel:
    """Answers each clip with probabilities that tell its number. While ``gate`` is closed, a batch that began does not end.

    Fails on any batch that holds ``poison``, or more clips than it has ``memory`` for. What it gives for clips of ``nonsense``
    is not a number.
    """

    def __init__(self, poison: Iterable[int] = (), memory: int = 1000) -> None:
        self.poison, self.memory = set(poison), memory
        self.nonsense: set[int] = set()
        self.rows_too_many = 0
        """How many rows more than clips it gives; below 0 for fewer."""
        self.miscounted: set[int] = set()
        """Clips that were alone when it gave another number of rows than one."""
        self.batches: list[list[int]] = []
        """Those that it was given."""
        self.alone: list[bool] = []
        """What it was told of each."""
        self.answered: list[int] = []
        self.started = asyncio.Event()
        self.gate = asyncio.Event()
        self.gate.set()

    async def __call__(self, clips: Clips, alone: bool) -> Probabilities:
        numbers = [int(c.flat[0]) for c in clips]
        self.batches.append(numbers)
        self.alone.append(alone)
        self.started.set()
        await self.gate.wait()
        if len(clips) > self.memory:
            raise OutOfDeviceMemory("Failed to allocate memory")
        if self.poison.intersection(numbers):
            raise RuntimeError("a kernel does not like this")
        if self.rows_too_many:
            self.miscounted.update(numbers if len(numbers) == 1 else ())
            return np.full((len(clips) + self.rows_too_many, 2), 0.5, np.float32)
        self.answered += numbers
        return np.array([[np.nan, 0] if n in self.nonsense else [n / 256, 1 - n / 256] for n in numbers], np.float32)

    @property
    def given(self) -> set[int]:
        """All clips that it was given so far."""
        return {number for batch in self.batches for number in batch}


def run(test: Callable[[], Awaitable[None]]) -> None:
    """Run an async test to its end, which must be near."""

    async def bounded() -> None:
        async with asyncio.timeout(NOW_SECONDS):
            await test()

    asyncio.run(bounded())
