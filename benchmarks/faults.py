"""Decode processes that are hit while they work: how soon another takes their place, and what good requests notice.

A server with two decode processes is given a video that takes long to decode; the process that has it is killed (SIGKILL),
crashes (SIGSEGV) or hangs (SIGSTOP, until its time is up), while clients send good videos.
"""

import argparse
import os
import signal
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from statistics import median
from typing import Any

from tqdm import tqdm

from benchmarks.record import percentiles, write_result
from tests.colour_model import publish
from tests.live_server import LiveServer, running_server
from tests.robustness.bombs import still_video
from tests.robustness.workers import busy_process, locked_in_processes
from tests.videos import GREEN, solid_video

WORKERS = 2
TIMEOUT_SECONDS = 3.0
GOOD_REQUESTS, CLIENTS = 32, 8
GOOD = solid_video(GREEN)
HITS = (signal.SIGKILL, signal.SIGSEGV, signal.SIGSTOP)


def main() -> None:
    """Measure, print and record."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.faults", description=__doc__, epilog="example: python -m benchmarks.faults --rounds 3"
    )
    parser.add_argument("--rounds", type=int, default=10, help="hits of each kind (default: %(default)s)")
    args = parser.parse_args()
    figures = measure(args.rounds)
    for name, seen in figures.items():
        print(name, seen)
    write_result("faults", {"workers": WORKERS, "decode_timeout_seconds": TIMEOUT_SECONDS, "rounds": args.rounds} | figures)


def measure(rounds: int) -> dict[str, Any]:
    """By signal."""
    culprit, settings = still_video(6000), {"decode_timeout_seconds": TIMEOUT_SECONDS, "decode_cpu_seconds": 600}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        publish(folder / "models")
        with running_server(folder / "models", folder / "log", decode_workers=WORKERS, **settings) as live:
            return {hit.name: _summary(_strike(live, culprit, hit, rounds)) for hit in HITS}


Round = tuple[float, list[tuple[int, float]]]
"""Seconds from the end of one process until as many were ready as before; status and seconds of each good request."""


def _strike(live: LiveServer, culprit: bytes, hit: signal.Signals, rounds: int) -> Iterator[Round]:
    for _ in tqdm(range(rounds), desc=hit.name, unit="hit"):
        with ThreadPoolExecutor(1) as for_the_culprit, ThreadPoolExecutor(CLIENTS) as pool:
            blamed = for_the_culprit.submit(live.classify, culprit)
            victim = busy_process(live)
            good = [pool.submit(_ask, live) for _ in range(GOOD_REQUESTS)]
            os.kill(victim, hit)
            ended = time.monotonic() if hit != signal.SIGSTOP else None
            assert blamed.result().status_code == 422, blamed.result().text
            ended = ended or time.monotonic()
            while victim in (ready := locked_in_processes(live.process.pid)) or len(ready) < WORKERS:
                time.sleep(0.005)
            yield time.monotonic() - ended, [answer.result() for answer in good]


def _ask(live: LiveServer) -> tuple[int, float]:
    started = time.monotonic()
    status = live.classify(GOOD).status_code
    return status, time.monotonic() - started


def _summary(rounds: Iterator[Round]) -> dict[str, Any]:
    seen = list(rounds)
    replaced = [seconds for seconds, _ in seen]
    good = [answer for _, answers in seen for answer in answers]
    return {
        "replaced_seconds": {"median": round(median(replaced), 3), "max": round(max(replaced), 3)},
        "good_statuses": dict(Counter(status for status, _ in good)),
        "good_ms": percentiles([1000 * seconds for _, seconds in good]),
    }


if __name__ == "__main__":
    main()
