"""How a model uses its machine: so many lanes, each of so many threads, with batches of so many clips.

one lane of two threads        [ab-][cd-][ef-]          each batch is there sooner
two lanes of one thread        [a--][c--][e--]          nothing is lost between threads
                               [b--][d--][f--]
"""

from dataclasses import dataclass, field
from pathlib import Path

from app.inference.provider_options import GpuOptions, Provider

_LARGEST_MEASURED: dict[Provider, int] = {"cpu": 8, "cuda": 32, "tensorrt": 32}


@dataclass(frozen=True)
class PlanRequest:
    """What the operator asked for; 0 means: measure."""

    processors: int
    lanes: int = 0
    intra_op_threads: int = 0
    max_batch_size: int = 0
    gpu: GpuOptions = field(default_factory=GpuOptions)
    cache_folder: Path | None = None
    """Where plans are remembered; None for nowhere."""

    def divisions(self, provider: Provider) -> list[tuple[int, int]]:
        """Lanes, and threads of each, that come into question."""
        if provider != "cpu":
            return [(lanes, self.intra_op_threads or 1) for lanes in ([self.lanes] if self.lanes else [1, 2])]
        if self.lanes or self.intra_op_threads:
            lanes = self.lanes or max(1, self.processors // self.intra_op_threads)
            return [(lanes, self.intra_op_threads or max(1, self.processors // lanes))]
        lane_counts = {2**i for i in range(self.processors.bit_length())} | {self.processors}
        return [(lanes, self.processors // lanes) for lanes in sorted(lane_counts)]

    def batch_sizes(self, provider: Provider) -> list[int]:
        """Largest batches that come into question, rising."""
        if self.max_batch_size:
            return [self.max_batch_size]
        return [2**i for i in range(_LARGEST_MEASURED[provider].bit_length())]


@dataclass(frozen=True)
class ExecutionPlan:
    """What is done."""

    lanes: int
    intra_op_threads: int
    """Of each lane."""
    max_batch_size: int
    lone_threads: int
    """Of a run that has the machine to itself."""
    clips_per_second: float
    """Of all lanes together, estimated from a few runs."""
