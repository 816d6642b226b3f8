"""A server under steady load for a long time, one request in twenty a bad one: does its memory grow, does it keep descriptors?

The rate is a share of what the server answers at most, measured first with the same mix and so many clients that large
batches come. Bad requests are broken videos, empty bodies, senders and readers that leave in the middle, bodies that are too
large, and forms that are cut. The verdict is about the server's own process: after the warm-up its resident memory grows by at
most 1 MB an hour, and at rest it has no more descriptors and threads after the load than before, but for the thread that waits
for the end of decode processes. Those make way for fresh ones after a number of videos: their memory is recorded, not judged.
"""

import argparse
import asyncio
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from tqdm import tqdm

from benchmarks.record import RESULTS, write_result
from benchmarks.soaking.plot import plot
from benchmarks.soaking.processes import Sample, sample
from benchmarks.soaking.slope import Slope, fitted
from benchmarks.soaking.traffic import MAX_UPLOAD_BYTES, Traffic
from benchmarks.videos import read_videos
from tests.live_server import LiveServer, running_server
from tests.robustness.fuzzing import worker_deaths
from tests.robustness.seeds import own_seeds

CAPACITY_SECONDS, CAPACITY_CLIENTS = 12.0, (24, 12, 6, 3)
REST_SECONDS = 8.0
"""Without a request: the server has closed every connection that it kept."""
MOST_MB_PER_HOUR = 1.0
LATE_THREADS = 1
"""It starts when the first decode process ends."""
_MB = 1e6


def main() -> None:
    """Load, record and judge; exit code 1 where it grows or answers what it must not."""
    args = _arguments()
    videos, seeds = read_videos(args.clips, args.count), own_seeds()
    with tempfile.TemporaryDirectory() as folder, _server(args, Path(folder)) as live:
        traffic = Traffic(int(live.url.rsplit(":", 1)[1]), videos, seeds, args.bad_share)
        capacity, samples, rests = asyncio.run(_soak(args, live, traffic))
        ended = worker_deaths(live)
        recycled = live.metric('clipserve_decode_workers_replaced_total{reason="recycled"}')
    counted = [s for s in samples if s.seconds >= 60 * args.warm_up]
    line = fitted([s.seconds for s in counted], [float(s.server.rss_bytes) for s in counted])
    rates = {"capacity_per_second": round(capacity, 2), "requests_per_second": round(traffic.sent / 60 / args.minutes, 2)}
    figures = {**rates, **_verdict(counted, line, rests, traffic)}
    figures |= {"decode": _decode(counted), "decode_processes_recycled": int(recycled), "decode_processes_ended": ended}
    for name, value in figures.items():
        print(name, value)
    if 2 * line.standard_error > MOST_MB_PER_HOUR * _MB:
        print("the slope is not known to 1 MB an hour: let it run longer")
    plot(samples, line, 60 * args.warm_up, RESULTS / "soak.png")
    write_result("soak", _settings(args) | figures | {"samples": [asdict(s) for s in samples]})
    raise SystemExit(0 if figures["passes"] else 1)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.soak",
        description=__doc__,
        epilog="example: python -m benchmarks.soak --minutes 8 --warm-up 2",
    )
    parser.add_argument("--minutes", type=float, default=30, help="length of the load (default: %(default)s)")
    parser.add_argument("--warm-up", type=float, default=5, help="minutes of it that are not counted (default: %(default)s)")
    parser.add_argument("--share", type=float, default=0.5, help="of the capacity (default: %(default)s)")
    parser.add_argument("--rate", type=float, help="requests a second (default: by --share; measured in any case)")
    parser.add_argument("--bad-share", type=float, default=0.05, help="of the requests (default: %(default)s)")
    parser.add_argument("--every", type=float, default=10, help="seconds between two samples (default: %(default)s)")
    parser.add_argument("--clips", type=Path, help="folder of good videos (default: generated ones)")
    parser.add_argument("--count", type=int, default=20, help="good videos (default: %(default)s)")
    parser.add_argument(
        "--model", type=Path, default=Path("models/exercise10/1"), help="published version (default: %(default)s)"
    )
    args = parser.parse_args()
    if args.minutes - args.warm_up < 3 * args.every / 60:
        parser.error("--minutes leaves too few samples after --warm-up")
    return args


def _server(args: argparse.Namespace, folder: Path) -> Any:
    settings = {"default_model": args.model.parent.name, "max_upload_bytes": MAX_UPLOAD_BYTES}
    return running_server(args.model.parents[1], folder / "log", **settings)


async def _soak(args: argparse.Namespace, live: LiveServer, traffic: Traffic) -> tuple[float, list[Sample], list[Sample]]:
    """Requests a second at most; what the processes held while they came; and at rest, before and after."""
    capacity = max([await traffic.capacity(clients, CAPACITY_SECONDS) for clients in CAPACITY_CLIENTS])
    rate = args.rate or args.share * capacity
    before = await _at_rest(live)
    start, samples = time.monotonic(), list[Sample]()
    load = asyncio.create_task(traffic.steady(rate, 60 * args.minutes))
    with tqdm(total=round(60 * args.minutes), unit="s", disable=None) as bar:
        while not load.done():
            samples.append(sample(live.process.pid, round(time.monotonic() - start, 1)))
            bar.update(min(round(samples[-1].seconds), bar.total) - bar.n)
            bar.set_postfix(rss_mb=round(samples[-1].server.rss_bytes / _MB, 1), wrong=traffic.wrong.total(), refresh=False)
            await asyncio.wait({load}, timeout=args.every)
    await load
    return capacity, samples, [before, await _at_rest(live)]


async def _at_rest(live: LiveServer) -> Sample:
    await asyncio.sleep(REST_SECONDS)
    return sample(live.process.pid, 0.0)


def _verdict(counted: Sequence[Sample], rss: Slope, rests: Sequence[Sample], traffic: Traffic) -> dict[str, Any]:
    before, after = (rest.server for rest in rests)
    grows = rss.per_hour > MOST_MB_PER_HOUR * _MB
    keeps = after.descriptors > before.descriptors or after.threads > before.threads + LATE_THREADS
    return {
        "passes": not (grows or keeps or traffic.wrong),
        "rss": _slope_of(rss),
        "pss": _slope_of(_fit(counted, "pss_bytes")),
        "anonymous": _slope_of(_fit(counted, "anonymous_bytes")),
        "at_rest_before": asdict(before),
        "at_rest_after": asdict(after),
        "requests": traffic.sent,
        "answers": dict(sorted(traffic.statuses.items())),
        "wrong_answers": dict(traffic.wrong),
    }


def _decode(counted: Sequence[Sample]) -> dict[str, Any]:
    """Of the decode processes: all together, and the largest at any time."""
    together = [float(sum(holding.pss_bytes for holding in s.decode)) for s in counted]
    seen = [holding for s in counted for holding in s.decode]
    return {
        "pss_together": _slope_of(fitted([s.seconds for s in counted], together)),
        "largest_rss_mb": round(max(holding.rss_bytes for holding in seen) / _MB, 1),
        "most_descriptors": max(holding.descriptors for holding in seen),
        "most_threads": max(holding.threads for holding in seen),
        "processes": len({holding.pid for holding in seen}),
    }


def _fit(counted: Sequence[Sample], name: str) -> Slope:
    return fitted([s.seconds for s in counted], [float(getattr(s.server, name)) for s in counted])


def _slope_of(line: Slope) -> dict[str, float]:
    figures = {"mb_per_hour": line.per_hour, "standard_error": line.standard_error, "mb_at_start": line.start}
    return {name: round(value / _MB, 3) for name, value in figures.items()}


def _settings(args: argparse.Namespace) -> dict[str, Any]:
    return {"minutes": args.minutes, "warm_up_minutes": args.warm_up, "share": args.share, "bad_share": args.bad_share}


if __name__ == "__main__":
    main()
