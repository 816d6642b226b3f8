"""Clips a second of the bare ONNX session on the CPU: every published variant, batches of 1 to 16, in one lane or several.

    1x2     one run at a time, on two threads
    2x1     two runs at a time, on one thread each

Variants, lanes and batch sizes take turns, round after round, so that a noisy machine troubles all alike.
"""

import argparse
import os
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from statistics import median

import numpy as np
import onnxruntime as ort

from benchmarks.record import write_result
from clips import Manifest

BATCH_SIZES = (1, 2, 4, 8, 16)


def main() -> None:
    """Measure, print and record."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.engine",
        description=__doc__,
        epilog="example: python -m benchmarks.engine --model models/exercise10/1",
    )
    parser.add_argument(
        "--model", type=Path, default=Path("models/exercise10/1"), help="published version (default: %(default)s)"
    )
    parser.add_argument("--fp32", type=Path, metavar="FILE", help="an fp32 export of the same model, where it is not published")
    parser.add_argument("--rounds", type=int, default=5, help="rounds over all cases (default: %(default)s)")
    args = parser.parse_args()
    manifest = Manifest.read(args.model)
    cores = len(os.sched_getaffinity(0))
    files = {v.precision: args.model / v.file for v in manifest.variants} | ({"fp32": args.fp32} if args.fp32 else {})
    cases = [Case(precision, file, lanes, cores // lanes) for precision, file in files.items() for lanes in {1, cores}]
    seconds: dict[str, dict[int, list[float]]] = {case.name: {size: [] for size in BATCH_SIZES} for case in cases}
    for turn in range(args.rounds + 1):
        for case in cases:
            for size in BATCH_SIZES:
                clips = np.random.default_rng(0).integers(0, 256, (size, *manifest.clip_spec.shape), np.uint8)
                passed = case.seconds(clips)
                if turn:  # the first round warms up
                    seconds[case.name][size].append(passed)
    rates = {c.name: {n: round(c.lanes * n / median(s), 2) for n, s in seconds[c.name].items()} for c in cases}
    for name, by_size in rates.items():
        print(f"{name}: " + "  ".join(f"batch {size}: {rate} clips/s" for size, rate in by_size.items()))
    write_result(
        "engine",
        {
            "model": f"{manifest.name} {manifest.version}",
            "spec": manifest.clip_spec.model_dump(),
            "clips_per_second": rates,
            "raw_seconds": seconds,
        },
    )


class Case:
    """One file in so many lanes; they share a session, as in the server."""

    def __init__(self, precision: str, file: Path, lanes: int, threads: int) -> None:
        self.name, self.lanes = f"{precision} {lanes}x{threads}", lanes
        self._session = session(file, threads, spinning=False)
        self._threads = ThreadPoolExecutor(lanes)

    def seconds(self, clips: np.ndarray) -> float:
        """Time in which every lane runs ``clips`` once."""
        start = time.perf_counter()
        for run in [self._threads.submit(self._session.run, None, {"clips": clips}) for _ in range(self.lanes)]:
            run.result()
        return time.perf_counter() - start


def session(file: Path, threads: int, spinning: bool = True) -> ort.InferenceSession:
    """A CPU session that uses ``threads`` threads; waiting threads that spin are faster alone, slower beside decoders."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.add_session_config_entry("session.intra_op.allow_spinning", str(int(spinning)))
    return ort.InferenceSession(file.read_bytes(), options, providers=["CPUExecutionProvider"])


if __name__ == "__main__":
    main()
