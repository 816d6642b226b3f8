"""What a server makes of a GPU: videos through /classify and decoded clips through /v2, beside what limits them.

    decoding    processes that only decode, one for each processor, and one alone; on the video engine too (NVDEC)
    session     the engine as the server loads it, fed from memory, its copies to the device and back included
    classify    small and large videos, closed loop
    v2          decoded clips as binary tensors, closed loop

Limits and servers take turns. The load generator shares the processors with the servers.
"""

import argparse
import asyncio
import json
import subprocess
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from app.inference.engine import Engine, RequestedProvider, load_engine
from app.inference.execution_plan import PlanRequest
from app.inference.repository import PublishedModel
from app.inference.session import Session
from app.processors import usable_processors
from benchmarks.load import Client, closed_loop
from benchmarks.process_tree import processor_seconds, thread_seconds
from benchmarks.record import write_result
from benchmarks.serve import server
from benchmarks.videos import generated_video
from clips import ClipSpec, Manifest, load_clip
from clips.acceleration import Accelerator
from clips.errors import CommandError
from tests.protocol_body import binary_request

SIZES = {"320x240": (320, 240), "1920x1080": (1920, 1080)}


@dataclass(frozen=True)
class Load:
    """Requests of one kind."""

    path: str
    headers: tuple[str, ...]
    bodies: list[bytes]


@dataclass(frozen=True)
class Turns:
    """What all rounds gave, by name."""

    rates: dict[str, list[float]]
    """Clips a second."""
    served: dict[str, list[dict[str, Any]]]
    """Of each load, as ``under_load`` tells it."""
    refused: dict[str, str]
    """What cannot be measured here, and why."""


def main() -> None:
    """Measure, print and record."""
    args = _arguments()
    manifest = Manifest.read(args.model)
    print("making videos", flush=True)
    videos = _videos(args.videos)
    loads = {f"classify {size}": Load("/classify?top_k=1", ("Content-Type: video/mp4",), videos[size]) for size in SIZES}
    loads["v2"] = _predecoded(manifest)
    engine = load_engine(PublishedModel(args.model, manifest), args.provider, PlanRequest(usable_processors()))
    turns = take_turns(limits(engine, manifest.clip_spec, videos, args), loads, args)
    rates = {name: round(median(values), 1) for name, values in turns.rates.items() if values}
    figures: dict[str, Any] = {
        "model": f"{manifest.name} {manifest.version}, {engine.variant.precision} on {engine.provider}",
        "spec": manifest.clip_spec.model_dump(),
        "servers": args.servers,
        "plan": vars(engine.plan),
        "clips_per_second": rates,
        "share_of_limit": shares(rates, turns.rates),
        "processors_to_feed_the_session": {
            size: round(usable_processors() * rates["session"] / rates[f"decoding {size}"], 1) for size in SIZES
        },
        "refused": turns.refused,
        "server": turns.served,
        "raw": turns.rates,
    }
    for key in ("plan", "clips_per_second", "share_of_limit", "processors_to_feed_the_session", "refused"):
        print(key, json.dumps(figures[key], indent=1))
    write_result("gpu_server" if args.servers == 1 else f"gpu_server_{args.servers}", figures)


def limits(
    engine: Engine, spec: ClipSpec, videos: dict[str, list[bytes]], args: argparse.Namespace
) -> dict[str, Callable[[], float]]:
    """What bounds the servers: each a measurement of clips a second. On the video engine, only beside one server."""
    processors = usable_processors()
    measured: dict[str, Callable[[], float]] = {"session": partial(session_rate, engine, spec.shape, args.seconds)}
    for size in SIZES:
        decoding = partial(decode_rate, videos[size], spec)
        measured[f"decoding {size}"] = partial(decoding, processors, args.seconds)
        measured[f"decoding {size}, one process"] = partial(decoding, 1, args.seconds)
        if args.provider != "cpu" and args.servers == 1:
            measured[f"decoding {size}, nvdec"] = partial(decoding, processors, args.seconds, "cuda")
    return measured


def take_turns(measured: dict[str, Callable[[], float]], loads: dict[str, Load], args: argparse.Namespace) -> Turns:
    """Limits and loads, one after the other, ``args.rounds`` times."""
    turns = Turns({name: [] for name in (*measured, *loads)}, {name: [] for name in loads}, {})
    settings = {"execution_provider": args.provider, "max_queue_size": args.queue}
    if args.servers > 1:
        settings["decode_workers"] = max(1, usable_processors() // args.servers)
    with ExitStack() as stack:
        servers = [stack.enter_context(server(args.model, **settings)) for _ in range(args.servers)]
        for load in loads.values():
            under_load(servers, load, args, seconds=2)
        for turn in range(args.rounds):
            for name, rate in measured.items():
                if name not in turns.refused:
                    try:
                        turns.rates[name].append(rate())
                    except CommandError as problem:
                        turns.refused[name] = str(problem)
            for name, load in loads.items():
                turns.served[name].append(under_load(servers, load, args, args.seconds))
                turns.rates[name].append(turns.served[name][-1]["clips_per_second"])
            print(f"round {turn + 1} of {args.rounds} done", flush=True)
    return turns


def shares(rates: dict[str, float], raw: dict[str, list[float]]) -> dict[str, float]:
    """Of the smaller of decoding and session, round by round; decoded clips need the session alone."""
    found = {}
    for size in SIZES:
        limits = zip(raw["session"], raw[f"decoding {size}"], strict=True)
        found[f"classify {size}"] = median(
            value / min(limit) for value, limit in zip(raw[f"classify {size}"], limits, strict=True)
        )
    found["v2"] = median(value / limit for value, limit in zip(raw["v2"], raw["session"], strict=True))
    return {name: round(share, 3) for name, share in found.items() if name in rates}


def session_rate(engine: Engine, shape: tuple[int, ...], seconds: float) -> float:
    """Clips a second of all lanes, with full batches."""
    clips = list(np.random.default_rng(0).integers(0, 256, (engine.plan.max_batch_size, *shape), np.uint8))

    def repeat(session: Session) -> int:
        done = 0
        while time.perf_counter() < stop:
            session.run(clips)
            done += len(clips)
        return done

    sessions = [engine.sessions[lane % len(engine.sessions)] for lane in range(engine.plan.lanes)]
    with ThreadPoolExecutor(len(sessions)) as threads:
        start = time.perf_counter()
        stop = start + seconds
        done = sum(threads.map(repeat, sessions))
        return done / (time.perf_counter() - start)


def decode_rate(
    videos: Sequence[bytes], spec: ClipSpec, processes: int, seconds: float, accelerator: Accelerator = "none"
) -> float:
    """Clips a second of so many processes that only decode. Raises: AcceleratorUnavailable."""
    with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool:
        warm = [pool.submit(_decode_for, videos[:1], spec, 0.5, accelerator) for _ in range(processes)]
        for process in warm:
            process.result()
        return sum(pool.map(_decode_for, *zip(*[(videos, spec, seconds, accelerator)] * processes, strict=True)))


def _decode_for(videos: Sequence[bytes], spec: ClipSpec, seconds: float, accelerator: Accelerator) -> float:
    start, done = time.perf_counter(), 0
    while time.perf_counter() - start < seconds:
        load_clip(videos[done % len(videos)], spec, accelerator=accelerator)
        done += 1
    return done / (time.perf_counter() - start)


def under_load(servers: Sequence[tuple[int, int]], load: Load, args: argparse.Namespace, seconds: float) -> dict[str, Any]:
    """Good answers a second, what else was answered, and how busy servers, the busiest event loop and GPU were.

    ``servers``: port and process id of each; generators take them in turn.
    """
    generators = max(args.generators, len(servers))
    clients = args.clients // generators
    with ProcessPoolExecutor(generators, mp_context=get_context("spawn")) as pool:
        ports = [servers[number % len(servers)][0] for number in range(generators)]
        calls = [pool.submit(_generate, port, load, clients, seconds) for port in ports]
        time.sleep(1 + seconds / 4)
        started, before = time.perf_counter(), [_busy(pid) for _, pid in servers]
        time.sleep(seconds / 2)
        gpu = _gpu_use()
        passed = time.perf_counter() - started
        after = [_busy(pid) for _, pid in servers]
        used = [(now[0] - then[0], now[1] - then[1]) for now, then in zip(after, before, strict=True)]
        answers = [call.result() for call in calls]
    return {
        "clips_per_second": round(sum(rate for rate, _, _ in answers), 1),
        "other_statuses": sorted({status for _, others, _ in answers for status in others}),
        "median_ms": round(1000 * median(latency for _, _, latency in answers), 1),
        "processors_used": {
            "event_loop": round(max(loop for loop, _ in used) / passed, 2),
            "servers": round(sum(tree for _, tree in used) / passed, 2),
        },
        "gpu": gpu,
    }


def _busy(pid: int) -> tuple[float, float]:
    """Processor time so far of a server's event loop, and of all that belongs to the server, s."""
    return thread_seconds(pid), processor_seconds(pid)


def _generate(port: int, load: Load, clients: int, seconds: float) -> tuple[float, set[int], float]:
    client = Client("127.0.0.1", port, load.path, headers=load.headers)
    replies, took = asyncio.run(closed_loop(client, load.bodies, clients, seconds))
    good = [reply.latency_seconds for reply in replies if reply.status == 200]
    return len(good) / took, {reply.status for reply in replies} - {200}, median(good) if good else 0.0


def _predecoded(manifest: Manifest) -> Load:
    shape = manifest.clip_spec.shape
    clips = np.random.default_rng(0).integers(0, 256, (4, *shape), np.uint8)
    requests = [binary_request(clip[np.newaxis]) for clip in clips]
    headers = [f"{name}: {value}" for name, value in requests[0][1].items()]
    path = f"/v2/models/{manifest.name}/infer"
    return Load(path, ("Content-Type: application/octet-stream", *headers), [body for body, _ in requests])


def _videos(count: int) -> dict[str, list[bytes]]:
    with ProcessPoolExecutor(mp_context=get_context("spawn")) as pool:
        made = {
            size: [pool.submit(generated_video, seed, 4, width, height) for seed in range(count)]
            for size, (width, height) in SIZES.items()
        }
        return {size: [video.result() for video in videos] for size, videos in made.items()}


def _gpu_use() -> str:
    """Such as ``87 %, 3211 MiB``; empty without a GPU."""
    asked = ["nvidia-smi", "--query-gpu=utilization.gpu,memory.used", "--format=csv,noheader"]
    try:
        return subprocess.run(asked, capture_output=True, text=True, check=False).stdout.strip()
    except OSError:
        return ""


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.gpu_server",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="example: python -m benchmarks.untrained build/models && "
        "python -m benchmarks.gpu_server --model build/models/untrained/1",
    )
    parser.add_argument("--model", type=Path, required=True, help="published version")
    providers: tuple[RequestedProvider, ...] = ("cuda", "tensorrt", "cpu")
    parser.add_argument("--provider", choices=providers, default="cuda", help="default: %(default)s")
    parser.add_argument("--servers", type=int, default=1, help="that share processors and GPU (default: %(default)s)")
    parser.add_argument("--clients", type=int, default=128, help="requests on the way at a time (default: %(default)s)")
    parser.add_argument("--generators", type=int, default=2, help="processes that send them (default: %(default)s)")
    parser.add_argument("--queue", type=int, default=256, help="CLIPSERVE_MAX_QUEUE_SIZE (default: %(default)s)")
    parser.add_argument("--videos", type=int, default=8, help="of each size (default: %(default)s)")
    parser.add_argument("--seconds", type=float, default=5, help="of each measurement (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=3, help="default: %(default)s")
    return parser.parse_args()


if __name__ == "__main__":
    main()
