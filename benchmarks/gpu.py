"""Clips a second of the engine without decoding or HTTP: providers, precisions, CUDA graphs and batch sizes side by side.

Each case is an engine as the server loads it, warm, with its own buffers; cases take turns, round after round. On a GPU the
copies to the device and back are part of the time. A case that cannot run here is listed with its reason. How far answers
depend on the batch is looked at first.
"""

import argparse
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from numpy.typing import NDArray

from app.inference.engine import RequestedProvider, load_engine
from app.inference.execution_plan import PlanRequest
from app.inference.provider_options import GpuOptions
from app.inference.repository import PublishedModel
from app.inference.session import Session
from app.processors import usable_processors
from benchmarks.record import write_result
from benchmarks.videos import read_videos
from clips import Manifest, load_clip
from clips.errors import CommandError

BATCH_SIZES = (1, 2, 4, 8, 16, 32)


@dataclass(frozen=True)
class Case:
    """One way to run a model."""

    provider: RequestedProvider
    precision: str
    cuda_graphs: bool
    tf32: bool = False

    @property
    def name(self) -> str:
        """As the table calls it."""
        marks = {"TF32": self.tf32, "graphs": self.cuda_graphs}
        return " ".join([self.provider, self.precision, *(mark for mark, is_on in marks.items() if is_on)])


def main() -> None:
    """Measure, print and record."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.gpu",
        description=__doc__,
        epilog="example: python -m benchmarks.gpu --model models/exercise10/1 --providers cuda,tensorrt",
    )
    parser.add_argument(
        "--model", type=Path, default=Path("models/exercise10/1"), help="published version (default: %(default)s)"
    )
    parser.add_argument("--providers", default="cuda,tensorrt", help="comma separated (default: %(default)s)")
    parser.add_argument("--clips", type=Path, help="folder of videos to compare answers on (default: generated ones)")
    parser.add_argument("--rounds", type=int, default=5, help="rounds over all cases (default: %(default)s)")
    parser.add_argument("--cache", default="", help="folder for TensorRT's engines")
    args = parser.parse_args()
    manifest = Manifest.read(args.model)
    sessions: dict[str, Session] = {}
    refused: dict[str, str] = {}
    for case in cases(manifest, args.providers.split(",")):
        try:
            sessions[case.name] = open_case(PublishedModel(args.model, manifest), case, args.cache)
        except CommandError as problem:
            refused[case.name] = str(problem)
            print(f"{case.name}: {problem}")
    clips = [load_clip(video, manifest.clip_spec).frames for video in read_videos(args.clips, 8)] * (BATCH_SIZES[-1] // 8)
    differences = {name: batch_difference(session, clips) for name, session in sessions.items()}
    for name, difference in differences.items():
        print(f"{name}: a probability differs by {difference:.2g} at most between a clip alone and in a batch")
    seconds = measure(sessions, manifest.clip_spec.shape, args.rounds)
    rates = {name: {n: round(n / median(s), 2) for n, s in by_size.items()} for name, by_size in seconds.items()}
    for name, by_size in rates.items():
        print(f"{name}: " + "  ".join(f"batch {size}: {rate} clips/s" for size, rate in by_size.items()))
    figures: dict[str, Any] = {
        "model": f"{manifest.name} {manifest.version}",
        "spec": manifest.clip_spec.model_dump(),
        "clips_per_second": rates,
        "alone_or_in_a_batch": differences,
        "refused": refused,
    }
    write_result("gpu", {**figures, "raw_seconds": seconds})


def cases(manifest: Manifest, providers: list[RequestedProvider]) -> Iterator[Case]:
    """All that the published variants allow."""
    for provider in providers:
        for variant in manifest.variants:
            for graphs in (False, True) if provider != "cpu" else (False,):
                yield Case(provider, variant.precision, graphs)
            if provider != "cpu" and variant.precision == "fp32":
                yield Case(provider, "fp32", cuda_graphs=True, tf32=True)


def open_case(model: PublishedModel, case: Case, cache: str) -> Session:
    """A warm session. Raises: CommandError: it cannot run here."""
    alone = [variant for variant in model.manifest.variants if variant.precision == case.precision]
    only = PublishedModel(model.folder, model.manifest.model_copy(update={"variants": alone}))
    gpu = GpuOptions(
        cuda_graphs="on" if case.cuda_graphs else "off",
        tf32=case.tf32,
        cache_folder=cache or None,
    )
    threads = usable_processors()
    plan = PlanRequest(threads, lanes=1, intra_op_threads=threads, max_batch_size=BATCH_SIZES[-1], gpu=gpu)
    return load_engine(only, case.provider, plan).sessions[0]


def batch_difference(session: Session, clips: Sequence[NDArray[np.uint8]]) -> float:
    """Largest difference of a probability between a clip alone and the same clip in a batch, over all batch sizes."""
    alone = np.concatenate([session.run([clip]) for clip in clips])
    return max(float(np.abs(session.run(clips[:size]) - alone[:size]).max()) for size in BATCH_SIZES)


def measure(sessions: dict[str, Session], shape: tuple[int, ...], rounds: int) -> dict[str, dict[int, list[float]]]:
    """Seconds of each run, by case and batch size."""
    seconds: dict[str, dict[int, list[float]]] = {name: {size: [] for size in BATCH_SIZES} for name in sessions}
    clips = list(np.random.default_rng(0).integers(0, 256, (BATCH_SIZES[-1], *shape), np.uint8))
    for turn in range(rounds + 1):
        for name, session in sessions.items():
            for size in BATCH_SIZES:
                start = time.perf_counter()
                session.run(clips[:size])
                if turn:  # the first round warms up
                    seconds[name][size].append(time.perf_counter() - start)
    return seconds


if __name__ == "__main__":
    main()
