"""Single videos, alone and beside longer ones that are classified window by window: what do those cost, and what do they get?

Phases without and with one or more `/timeline` callers take turns on one server. Single videos come at random moments of a
steady rate; each timeline caller sends the next video when it has its last event. The load generator shares the cores with
the server.
"""

import argparse
import asyncio
import io
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import av
import numpy as np

from benchmarks.load import Client, Reply, open_loop
from benchmarks.record import percentiles, write_result
from benchmarks.serve import server
from benchmarks.videos import read_videos

WINDOW_SECONDS = 5


@dataclass
class Phase:
    """All rounds with so many timeline callers."""

    callers: int
    single: list[Reply] = field(default_factory=list)
    windows: int = 0
    seconds: float = 0.0


def main() -> None:
    """Measure, print and record."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.timeline", description=__doc__, epilog="example: python -m benchmarks.timeline --seconds 20"
    )
    parser.add_argument("--clips", type=Path, help="folder of single videos (default: generated ones)")
    parser.add_argument("--count", type=int, default=40, help="single videos (default: %(default)s)")
    parser.add_argument("--model", type=Path, default=Path("models/exercise10/1"), help="published version")
    parser.add_argument("--rate", type=float, default=8.0, help="single videos a second (default: %(default)s)")
    parser.add_argument("--callers", type=int, nargs="+", default=[0, 1, 4], help="of timelines (default: %(default)s)")
    parser.add_argument("--minutes", type=float, default=5.0, help="length of a longer video (default: %(default)s)")
    parser.add_argument("--seconds", type=float, default=15, help="length of a turn (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=3, help="turns of each number of callers (default: %(default)s)")
    args = parser.parse_args()
    videos, long = read_videos(args.clips, args.count), long_video(args.minutes)
    phases = [Phase(callers) for callers in args.callers]
    with server(args.model) as (port, _):
        for seed in range(args.rounds):
            for phase in phases:
                asyncio.run(turn(args, port, (videos, long), phase, seed))
    figures = {f"{phase.callers} callers": summary(phase) for phase in phases}
    for name, value in figures.items():
        print(name, value)
    settings = {"rate": args.rate, "rounds": args.rounds, "seconds": args.seconds, "window_seconds": WINDOW_SECONDS}
    write_result("timeline", settings | {"long_video_bytes": len(long)} | figures)


def long_video(minutes: float) -> bytes:
    """H.264 in MP4, 854 x 480, 30 frames a second, a keyframe every 250 frames: noise that drifts."""
    texture = np.random.default_rng(0).integers(0, 256, (60, 122, 3), np.uint8).repeat(8, 0).repeat(7, 1)[:480, :854]
    file = io.BytesIO()
    with av.open(file, "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=30, options={"preset": "veryfast"})
        stream.width, stream.height, stream.pix_fmt = 854, 480, "yuv420p"
        for number in range(round(1800 * minutes)):
            frame = av.VideoFrame.from_ndarray(np.roll(texture, 2 * number, axis=1), format="rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return file.getvalue()


async def turn(args: argparse.Namespace, port: int, videos: tuple[Sequence[bytes], bytes], phase: Phase, seed: int) -> None:
    """Single videos for ``args.seconds``, beside the callers of timelines."""
    started = time.perf_counter()
    client = Client("127.0.0.1", port)
    timelines = [asyncio.create_task(_timelines(port, videos[1], phase)) for _ in range(phase.callers)]
    replies, _ = await open_loop(client, videos[0], args.rate, args.seconds, seed)
    for timeline in timelines:
        timeline.cancel()
    await asyncio.gather(*timelines, return_exceptions=True)
    client.close()
    phase.single += replies
    phase.seconds += time.perf_counter() - started


async def _timelines(port: int, video: bytes, phase: Phase) -> None:
    """One after the other until it is cancelled."""
    head = f"POST /timeline?top_k=1&window_seconds={WINDOW_SECONDS} HTTP/1.1\r\nHost: bench\r\nConnection: close\r\n"
    while True:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        try:
            writer.write(f"{head}Content-Type: video/mp4\r\nContent-Length: {len(video)}\r\n\r\n".encode() + video)
            async for line in reader:
                phase.windows += line.startswith(b'{"event":"window"')
                assert not line.startswith(b'{"event":"failed"'), line
        finally:
            writer.transport.abort()


def summary(phase: Phase) -> dict[str, Any]:
    """Latencies of single videos, ms, and windows a second."""
    good = [1000 * reply.latency_seconds for reply in phase.single if reply.status == 200]
    for reply in phase.single:
        if reply.status == 200:
            json.loads(reply.body)
    return {
        "single_videos": len(phase.single),
        "answered_200": len(good),
        "latency_ms": percentiles(good),
        "windows_per_second": round(phase.windows / phase.seconds, 2),
    }


if __name__ == "__main__":
    main()
