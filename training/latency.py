"""How long the files of a model take for a clip on this machine, measured side by side: round after round, each once."""

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter
from typing import NamedTuple, TypeVar

import numpy as np
import torch

from clips import ClipSpec
from clips.errors import CommandError
from clips.manifest import Precision
from training.onnx_runtime import VERSION, OnnxClassifier, Provider
from training.processor import processor_name

Name = TypeVar("Name", bound=str)

BATCH_SIZES = (1, 4)
_WARM_UP_ROUNDS, _FEWEST_ROUNDS, _MOST_ROUNDS = 2, 5, 30
_SECONDS = 30.0
"""For each way of running, once there are the fewest rounds."""


class Way(NamedTuple):
    """One way of running a file."""

    provider: Provider
    threads: int
    batch: int

    def __str__(self) -> str:
        """``cpu, 2 threads, batch of 4``."""
        threads = "" if self.provider == "cuda" else f", {self.threads} thread{'s' if self.threads > 1 else ''}"
        return f"{self.provider}{threads}, batch of {self.batch}"


class Latency(NamedTuple):
    """Of one file, run one way."""

    way: Way
    median_ms: float
    """Of a clip: the time of its batch over the clips in it."""
    p90_ms: float
    runs: int

    def as_dict(self) -> dict[str, str | int | float]:
        """For JSON."""
        return {**self.way._asdict(), "median_ms": round(self.median_ms, 2), "p90_ms": round(self.p90_ms, 2), "runs": self.runs}


@dataclass(frozen=True)
class Benchmark:
    """What ``--benchmark`` finds."""

    latencies: Mapping[Precision, Sequence[Latency]] = field(default_factory=dict)
    """Every file has the same ways, in the same order; none where nothing was measured."""
    notes: Sequence[str] = ()
    """Whole sentences: on what it was measured, and what was not."""


def benchmark(files: Mapping[Precision, Path], spec: ClipSpec) -> Benchmark:
    """Every file on one thread and on all, alone and in batches; on a GPU too, where there is one that onnxruntime can use.

    Takes up to half a minute for each way of running.
    """
    print("measuring how long a clip takes", flush=True)
    found: dict[Precision, list[Latency]] = {precision: [] for precision in files}
    notes = [f"Measured on {processor_name()}, {cores()} of its cores, with onnxruntime {VERSION}."]
    for way in [Way("cpu", threads, batch) for threads in sorted({1, cores()}) for batch in BATCH_SIZES]:
        _add(found, latencies(files, spec, way))
    if not torch.cuda.is_available():
        return Benchmark(found, [*notes, "CUDA was not measured: there is no NVIDIA GPU here that torch can use."])
    try:
        on_gpu = [latencies(files, spec, Way("cuda", 1, batch)) for batch in BATCH_SIZES]
    except CommandError as problem:
        return Benchmark(found, [*notes, f"CUDA was not measured: {problem}."])
    for measured in on_gpu:
        _add(found, measured)
    return Benchmark(found, [*notes, f"CUDA on {torch.cuda.get_device_name()}, copies to the GPU and back among the time."])


def latencies(files: Mapping[Name, Path], spec: ClipSpec, way: Way, most_rounds: int = _MOST_ROUNDS) -> dict[Name, Latency]:
    """The files take turns, so that a noisy machine troubles all alike. Raises: CommandError: one does not run this way."""
    sessions = {name: OnnxClassifier(file, way.threads, way.provider) for name, file in files.items()}
    clips = np.random.default_rng(0).integers(0, 256, (way.batch, *spec.shape), np.uint8)
    seconds: dict[Name, list[float]] = {name: [] for name in files}
    for warm in _rounds(most_rounds):
        for name, session in sessions.items():
            start = perf_counter()
            session(clips)
            if warm:
                seconds[name].append(perf_counter() - start)
    return {name: _latency(way, values) for name, values in seconds.items()}


def _rounds(most: int) -> Iterator[bool]:
    """False while warming up, then True until there are enough or the time is up."""
    yield from [False] * _WARM_UP_ROUNDS
    end = perf_counter() + _SECONDS
    for number in range(most):
        if number >= _FEWEST_ROUNDS and perf_counter() > end:
            return
        yield True


def _latency(way: Way, seconds: Sequence[float]) -> Latency:
    median, p90 = (1000 * float(np.percentile(seconds, p)) / way.batch for p in (50, 90))
    return Latency(way, median, p90, len(seconds))


def _add(found: dict[Precision, list[Latency]], measured: Mapping[Precision, Latency]) -> None:
    for precision, latency in measured.items():
        found[precision].append(latency)


def cores() -> int:
    """What the operating system lets this process use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
