"""The processes that train one model together, as torchrun starts them; one alone where it did not.

                                           machine 0            machine 1
                                        rank 0    rank 1     rank 2    rank 3
    computes its share of every batch      x         x          x         x
    decodes, for its machine               x                    x
    prints, and writes the run             x

Small things (flags, figures, predictions) travel by gloo, gradients by NCCL where they are on GPUs.
"""

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TypeVar, cast

import torch
import torch.distributed as dist
from torch import Tensor

from clips.errors import CommandError, UsageError

T = TypeVar("T")
Problem = CommandError | KeyboardInterrupt

_PATIENCE = timedelta(days=7)
"""To wait for another process is no error: it may be decoding for hours. torchrun ends those whose peers have died."""


@dataclass(frozen=True)
class Processes:
    """All of them, seen from one."""

    rank: int = 0
    size: int = 1
    local_rank: int = 0
    """Among those of its machine; also the number of its GPU."""
    machine: int = 0
    local_size: int = 1
    """Those of its machine."""

    @property
    def is_first(self) -> bool:
        """The one that prints and writes."""
        return self.rank == 0

    @property
    def is_first_here(self) -> bool:
        """The one that decodes for its machine."""
        return self.local_rank == 0

    def share(self, count: int) -> range:
        """Which of ``count`` things in a row are this process's; shares differ by one at most.

        7 things, 3 processes:   | 0 1 | 2 3 | 4 5 6 |
        """
        return range(count * self.rank // self.size, count * (self.rank + 1) // self.size)

    def sums(self, *numbers: float) -> list[float]:
        """Each of ``numbers``, added up over all processes in double precision."""
        if self.size == 1:
            return list(numbers)
        total = torch.tensor(numbers, dtype=torch.float64)
        dist.all_reduce(total)
        added: list[float] = total.tolist()
        return added

    def anywhere(self, flag: bool) -> bool:
        """Whether ``flag`` is set in one of the processes or more: the same answer in all."""
        return self.sums(float(flag))[0] > 0 if self.size > 1 else flag

    def average(self, tensors: Sequence[Tensor]) -> None:
        """Replace each by its mean over the processes."""
        if self.size > 1 and tensors:
            flat = torch.cat([tensor.flatten() for tensor in tensors]) / self.size
            dist.all_reduce(flat)
            for tensor, mean in zip(tensors, torch.split(flat, [tensor.numel() for tensor in tensors]), strict=True):
                tensor.copy_(mean.view_as(tensor))

    def concatenated(self, parts: Sequence[Tensor], device: torch.device) -> Tensor:
        """The ``parts`` of all processes along the first dimension, by rank, on ``device``; some processes may have none."""
        own = torch.cat(list(parts)) if parts else None
        if self.size == 1 and own is not None:
            return own
        found = []
        for rank, kind in enumerate(self._gathered((own.shape, own.dtype) if own is not None else None)):
            if kind is not None:
                shape, dtype = kind
                block = own if own is not None and rank == self.rank else torch.empty(shape, dtype=dtype, device=device)
                dist.broadcast(block, rank)
                found.append(block)
        return torch.cat(found)

    def from_first(self, function: Callable[[], T]) -> T:
        """What ``function`` returns in the first process, for all. Raises: what it raises there, and see ``_end``."""
        if self.size == 1:
            return function()
        message = [_attempt(function) if self.is_first else (None, None)]
        dist.broadcast_object_list(message)
        result, problem = message[0]
        self._end([problem])
        return cast("T", result)

    def together(self, function: Callable[[], T]) -> T:
        """What ``function`` returns here, once all are done. Raises: what it raises here, and see ``_end``."""
        if self.size == 1:
            return function()
        result, problem = _attempt(function)
        self._end(self._gathered(problem))
        return cast("T", result)

    def on_each_machine(self, function: Callable[[], T], what: str) -> T:
        """What ``function`` returns in the first process of each machine, for all.

        Raises: what it raises there, and see ``_end``. CommandError: machines differ in ``what``.
        """
        if self.size == 1:
            return function()
        attempt = _attempt(function) if self.is_first_here else (None, None)
        outcomes = self._gathered((self.is_first_here, *attempt))
        self._end([problem for _, _, problem in outcomes])
        results = [result for has_run, result, _ in outcomes if has_run]
        if any(result != results[0] for result in results):
            problem = CommandError(f"the machines differ in {what}; give each of them the same files under the same path")
            self._end([problem])
        return cast("T", results[0])

    @contextmanager
    def with_one_voice(self) -> Iterator[None]:
        """Only the first process is heard in here. Raises: CommandError (of the first): another process has ended."""
        with ExitStack() as silence:
            if not self.is_first:
                nowhere = silence.enter_context(Path(os.devnull).open("w", encoding="utf-8"))
                silence.enter_context(redirect_stdout(nowhere))
                silence.enter_context(redirect_stderr(nowhere))
            try:
                yield
            except RuntimeError as problem:
                if self.size == 1 or not _is_lost_connection(problem):
                    raise
                self._end([CommandError("another process of the run has ended, so this one cannot go on; torchrun names it")])

    def _gathered(self, item: T) -> list[T]:
        """``item`` of every process, by rank."""
        found: list[T] = [item] * self.size
        dist.all_gather_object(found, item)
        return found

    def _end(self, problems: Sequence[Problem | None]) -> None:
        """Raises: the first of ``problems``, which are in the order of ranks, if there is one: an interruption everywhere,
        an error where it arose alone, so that it is told once, and SystemExit with its code elsewhere.
        """
        found = [(rank, problem) for rank, problem in enumerate(problems) if problem is not None]
        for rank, problem in sorted(found, key=lambda item: isinstance(item[1], CommandError)):
            if isinstance(problem, CommandError) and rank != self.rank:
                raise SystemExit(problem.exit_code)
            raise problem


ALONE = Processes()


@contextmanager
def joined() -> Iterator[Processes]:
    """The processes that torchrun has started this one with; this one alone where it was started without."""
    if not _are_several():
        yield ALONE
        return
    dist.init_process_group("cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo", timeout=_PATIENCE)
    try:
        machine = int(os.environ["GROUP_RANK"])
        local_rank, local_size = int(os.environ["LOCAL_RANK"]), int(os.environ["LOCAL_WORLD_SIZE"])
        yield Processes(dist.get_rank(), dist.get_world_size(), local_rank, machine, local_size)
    finally:
        dist.destroy_process_group()


def check_alone(command: str) -> None:
    """For what one process does. Raises: UsageError: torchrun has started several, which would all do the same."""
    if _are_several():
        raise UsageError(f"clipserve {command} runs in one process; start it without torchrun (clipserve train is for several)")


def _are_several() -> bool:
    return dist.is_torchelastic_launched() and int(os.environ["WORLD_SIZE"]) > 1


def _attempt(function: Callable[[], T]) -> tuple[T | None, Problem | None]:
    """What it returns, or what it raises where that is something to tell the others."""
    try:
        return function(), None
    except (CommandError, KeyboardInterrupt) as problem:
        return None, problem


def _is_lost_connection(problem: RuntimeError) -> bool:
    """gloo's own errors have no class."""
    return isinstance(problem, dist.DistError) or "gloo" in str(problem)
