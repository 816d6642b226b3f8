"""The whole server under load, beside what decoding and the engine reach without it on the same cores.

The reference decodes in as many processes as the server and runs the same session on batches of whatever is decoded: all
the work of a request, and no HTTP, queue or deadline. Reference and server take turns; the load generator shares the cores
with the server and its cost counts against it.
"""

import argparse
import asyncio
import os
import queue
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing import get_context
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from benchmarks.engine import session
from benchmarks.load import Client, Reply, closed_loop, open_loop
from benchmarks.process_tree import resident_mib
from benchmarks.record import percentiles, write_result
from benchmarks.videos import read_videos
from clips import ClipSpec, Manifest, load_clip

MAX_BATCH_SIZE = 8


def main() -> None:
    """Measure, print and record."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.serve",
        description=__doc__,
        epilog="example: python -m benchmarks.serve --clips my-clips --seconds 20",
    )
    parser.add_argument("--clips", type=Path, help="folder of videos (default: generated ones)")
    parser.add_argument("--count", type=int, default=60, help="videos (default: %(default)s)")
    parser.add_argument(
        "--model", type=Path, default=Path("models/exercise10/1"), help="published version (default: %(default)s)"
    )
    parser.add_argument("--seconds", type=float, default=15, help="length of each stretch (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=3, help="turns of reference and server (default: %(default)s)")
    args = parser.parse_args()
    videos, manifest = read_videos(args.clips, args.count), Manifest.read(args.model)
    with server(args.model) as (port, pid):
        client = Client("127.0.0.1", port)
        asyncio.run(closed_loop(client, videos, 2, 3))
        figures: dict[str, Any] = {"model": f"{manifest.name} {manifest.version}", "resident_idle_mib": resident_mib(pid)}
        figures["capacity"] = compare(args, port, videos, manifest)
        figures["closed_loop"] = [measure_closed(port, videos, clients, args.seconds) for clients in (1, 2, 4, 8, 16)]
        capacity = figures["capacity"]["server_clips_per_second"]
        shares = (0.5, 0.75, 0.9, 1.1)
        figures["open_loop"] = [measure_open(port, videos, share, capacity, args.seconds) for share in shares]
        figures["resident_loaded_mib"] = resident_mib(pid)
    for name, value in figures.items():
        print(name, *(value if isinstance(value, list) else [value]), sep="\n  ")
    write_result("serve", figures)


def compare(args: argparse.Namespace, port: int, videos: Sequence[bytes], manifest: Manifest) -> dict[str, Any]:
    """Server and reference by turns, each for ``args.seconds``."""
    alone, served = [], []
    variant = manifest.variant("int8") or manifest.variants[0]
    with Reference(args.model / variant.file, manifest.clip_spec) as reference:
        for _ in range(args.rounds):
            alone.append(reference.clips_per_second(videos, args.seconds))
            replies, seconds = asyncio.run(closed_loop(Client("127.0.0.1", port), videos, 16, args.seconds))
            served.append(sum(r.status == 200 for r in replies) / seconds)
    return {
        "precision": variant.precision,
        "decode_and_engine_clips_per_second": round(median(alone), 2),
        "server_clips_per_second": round(median(served), 2),
        "share_of_decode_and_engine": round(median(s / a for s, a in zip(served, alone, strict=True)), 3),
        "raw": {"alone": alone, "served": served},
    }


class Reference:
    """Decode processes and an ONNX session, joined by a queue and nothing else."""

    def __init__(self, model: Path, spec: ClipSpec) -> None:
        cores = len(os.sched_getaffinity(0))
        self._pool = ProcessPoolExecutor(cores, mp_context=get_context("spawn"))
        self._session, self._spec = session(model, cores, spinning=False), spec

    def __enter__(self) -> "Reference":
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.shutdown(cancel_futures=True)

    def clips_per_second(self, videos: Sequence[bytes], seconds: float) -> float:
        """Classify videos for ``seconds``, with 16 of them on the way at a time."""
        decoded: queue.Queue[np.ndarray] = queue.Queue()
        on_the_way = threading.Semaphore(16)
        stop = time.perf_counter() + seconds

        def feed() -> None:
            index = 0
            while time.perf_counter() < stop:
                on_the_way.acquire()
                future = self._pool.submit(_frames, videos[index % len(videos)], self._spec)
                future.add_done_callback(lambda done: decoded.put(done.result()))
                index += 1

        feeder = threading.Thread(target=feed)
        start, done = time.perf_counter(), 0
        feeder.start()
        while time.perf_counter() < stop:
            batch = [decoded.get()]
            while len(batch) < MAX_BATCH_SIZE and not decoded.empty():
                batch.append(decoded.get())
            self._session.run(None, {"clips": np.stack(batch)})
            done += len(batch)
            on_the_way.release(len(batch))
        rate = done / (time.perf_counter() - start)
        on_the_way.release()  # the feeder may wait for a place
        feeder.join()
        return rate


def _frames(video: bytes, spec: ClipSpec) -> np.ndarray:
    return load_clip(video, spec).frames


def measure_closed(port: int, videos: Sequence[bytes], clients: int, seconds: float) -> dict[str, Any]:
    """One row of the closed-loop table."""
    replies, took = asyncio.run(closed_loop(Client("127.0.0.1", port), videos, clients, seconds))
    return {"clients": clients, **summary(replies, took)}


def measure_open(port: int, videos: Sequence[bytes], share: float, capacity: float, seconds: float) -> dict[str, Any]:
    """One row of the open-loop table: arrivals at ``share`` of the capacity."""
    replies, took = asyncio.run(open_loop(Client("127.0.0.1", port), videos, share * capacity, seconds))
    return {"share_of_capacity": share, "rate_per_second": round(share * capacity, 2), **summary(replies, took)}


def summary(replies: Sequence[Reply], seconds: float) -> dict[str, Any]:
    """Throughput of good answers, their latency, and all statuses."""
    good = [1000 * reply.latency_seconds for reply in replies if reply.status == 200]
    return {
        "good_per_second": round(len(good) / seconds, 2),
        "statuses": dict(Counter(reply.status for reply in replies)),
        "latency_ms": percentiles(good) if good else {},
    }


@contextmanager
def server(model: Path, **settings: object) -> Iterator[tuple[int, int]]:
    """A server of its own on a free port; port and process id."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    repository, name = model.parents[1], model.parent.name
    flags = ["--port", str(port), "--model-repository", str(repository), "--default-model", name]
    environment = os.environ | {f"CLIPSERVE_{name.upper()}": str(value) for name, value in settings.items()}
    process = subprocess.Popen([sys.executable, "-m", "clipserve", "serve", *flags], env=environment, stderr=subprocess.DEVNULL)
    try:
        wait_until_ready(port, process)
        yield port, process.pid
    finally:
        process.terminate()
        process.wait(60)


def wait_until_ready(port: int, process: subprocess.Popen[bytes], seconds: float = 120) -> None:
    """Return once ``/readyz`` answers 200. Raises: SystemExit: it never does."""
    until = time.monotonic() + seconds
    while time.monotonic() < until and process.poll() is None:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=2):
                return
        except OSError:
            time.sleep(0.2)
    raise SystemExit("the server did not become ready")


if __name__ == "__main__":
    main()
