"""Clips a second of the bare ONNX session: every published variant, batches of 1 to 16, on the CPU.

Variants and batch sizes take turns, round after round, so that a noisy machine troubles all alike.
"""

import argparse
import os
import time
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
    threads = len(os.sched_getaffinity(0))
    sessions = {v.precision: session(args.model / v.file, threads) for v in manifest.variants}
    if args.fp32:
        sessions["fp32"] = session(args.fp32, threads)
    seconds: dict[str, dict[int, list[float]]] = {precision: {size: [] for size in BATCH_SIZES} for precision in sessions}
    random = np.random.default_rng(0)
    for turn in range(args.rounds + 1):
        for precision, run in sessions.items():
            for size in BATCH_SIZES:
                clips = random.integers(0, 256, (size, *manifest.clip_spec.shape), np.uint8)
                start = time.perf_counter()
                run.run(None, {"clips": clips})
                if turn:  # the first round warms up
                    seconds[precision][size].append(time.perf_counter() - start)
    rates = {p: {n: round(n / median(s), 2) for n, s in by_size.items()} for p, by_size in seconds.items()}
    for precision, by_size in rates.items():
        print(f"{precision}: " + "  ".join(f"batch {size}: {rate} clips/s" for size, rate in by_size.items()))
    write_result(
        "engine",
        {
            "model": f"{manifest.name} {manifest.version}",
            "spec": manifest.clip_spec.model_dump(),
            "intra_op_threads": threads,
            "clips_per_second": rates,
            "raw_seconds": seconds,
        },
    )


def session(file: Path, threads: int, spinning: bool = True) -> ort.InferenceSession:
    """A CPU session that uses ``threads`` threads; waiting threads that spin are faster alone, slower beside decoders."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.add_session_config_entry("session.intra_op.allow_spinning", str(int(spinning)))
    return ort.InferenceSession(file.read_bytes(), options, providers=["CPUExecutionProvider"])


if __name__ == "__main__":
    main()
