"""Four good clients, alone and beside a fifth that sends bombs without a pause: what the bombs cost the good ones.

Quiet and bombed phases take turns on one server. A good client pauses between its requests, so that the machine has room for
all of them; the load generator and the bomber share the cores with the server.
"""

import argparse
import asyncio
import random
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

import httpx

from benchmarks.load import Client, Reply
from benchmarks.record import percentiles, write_result
from benchmarks.serve import server
from benchmarks.videos import read_videos
from tests.robustness.bombs import huge_frames, repeated_index, still_video
from tests.robustness.mutation import mutant
from tests.robustness.seeds import own_seeds

GOOD_CLIENTS = 4
MUTANTS = 6


@dataclass
class Phase:
    """What one stretch of time saw."""

    good: list[Reply] = field(default_factory=list)
    bombs: dict[str, list[Reply]] = field(default_factory=dict)

    def milliseconds(self) -> list[float]:
        """Latencies of the good requests, in the order of their answers."""
        return [round(1000 * reply.latency_seconds, 1) for reply in self.good]


def main() -> None:
    """Measure, print and record."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.bombs", description=__doc__)
    parser.add_argument("--clips", type=Path, help="folder of good videos (default: generated ones)")
    parser.add_argument("--count", type=int, default=60, help="good videos (default: %(default)s)")
    parser.add_argument("--model", type=Path, default=Path("models/exercise10/1"), help="published version")
    parser.add_argument("--seconds", type=float, default=30, help="length of a phase (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=5, help="turns of quiet and bombed (default: %(default)s)")
    parser.add_argument("--pause", type=float, default=1.0, help="mean pause of a good client, s (default: %(default)s)")
    args = parser.parse_args()
    videos, mix = read_videos(args.clips, args.count), bombs()
    with server(args.model) as (port, _):
        asyncio.run(phase(port, videos, {}, 3, args.pause))
        rounds = [(run(args, port, videos, {}), run(args, port, videos, mix)) for _ in range(args.rounds)]
        ended = httpx.get(f"http://127.0.0.1:{port}/metrics").text
    figures = summary(rounds) | {"decode_workers_replaced": replaced(ended)}
    for name, value in figures.items():
        print(name, value)
    write_result("bombs", figures | {"raw_ms": [{"quiet": q.milliseconds(), "bombed": b.milliseconds()} for q, b in rounds]})


def bombs() -> dict[str, bytes]:
    """By name. The first goes on until its time is up, the second and third just pass, the others are refused early or late."""
    seeds = own_seeds()
    return {
        "4K, 6000 frames": still_video(6000),
        "4K, 600 frames": still_video(600),
        "4080 x 2304, 300 frames": still_video(300, (4080, 2304)),
        "8176 x 8176": huge_frames(),
        "one picture 20,000 times": repeated_index(),
        **{f"mutant {number}": mutant(seeds, number).data for number in range(MUTANTS)},
    }


def run(args: argparse.Namespace, port: int, videos: Sequence[bytes], mix: dict[str, bytes]) -> Phase:
    """One phase; without bombs it is a quiet one."""
    return asyncio.run(phase(port, videos, mix, args.seconds, args.pause))


async def phase(port: int, videos: Sequence[bytes], mix: dict[str, bytes], seconds: float, pause: float) -> Phase:
    """Good clients for ``seconds``, and the bomber for as long as they run."""
    seen, client, until = Phase(), Client("127.0.0.1", port), time.perf_counter() + seconds

    async def good(number: int) -> None:
        chance = random.Random(number)
        while time.perf_counter() < until:
            await asyncio.sleep(chance.expovariate(1 / pause))
            seen.good.append(await client.post(chance.choice(videos)))

    async def bomber() -> None:
        chance = random.Random(0)
        while mix:
            for name in chance.sample(sorted(mix), len(mix)):
                seen.bombs.setdefault(name, []).append(await client.post(mix[name]))

    attack = asyncio.create_task(bomber())
    await asyncio.gather(*(good(number) for number in range(GOOD_CLIENTS)))
    attack.cancel()
    await asyncio.gather(attack, return_exceptions=True)
    return seen


def summary(rounds: Sequence[tuple[Phase, Phase]]) -> dict[str, Any]:
    """Latencies of the good requests with and without bombs, their ratio, and what the bombs were answered."""
    quiet, bombed = ([phase for pair in rounds for phase in [pair[i]]] for i in (0, 1))
    ratios = [
        {name: percentiles(b.milliseconds())[name] / percentiles(q.milliseconds())[name] for name in ("p50", "p99")}
        for q, b in rounds
    ]
    return {
        "quiet": _latencies(quiet),
        "bombed": _latencies(bombed),
        "ratio_median_of_rounds": {name: round(median(ratio[name] for ratio in ratios), 2) for name in ("p50", "p99")},
        "bombs": _bombs(bombed),
    }


def _latencies(phases: Sequence[Phase]) -> dict[str, Any]:
    replies = [reply for phase in phases for reply in phase.good]
    return {
        "statuses": dict(Counter(reply.status for reply in replies)),
        "latency_ms": percentiles([1000 * reply.latency_seconds for reply in replies]),
    }


def _bombs(phases: Sequence[Phase]) -> dict[str, Any]:
    """Each kind's statuses, and the median time to its answer, s."""
    kinds: dict[str, list[Reply]] = {}
    for phase in phases:
        for name, replies in phase.bombs.items():
            kinds.setdefault("mutants" if name.startswith("mutant") else name, []).extend(replies)
    return {
        name: {
            "statuses": dict(Counter(reply.status for reply in replies)),
            "median_seconds": round(median(reply.latency_seconds for reply in replies), 3),
        }
        for name, replies in sorted(kinds.items())
    }


def replaced(metrics: str) -> dict[str, int]:
    """Decode processes that ended, by reason."""
    name = "clipserve_decode_workers_replaced_total{"
    lines = [line for line in metrics.splitlines() if line.startswith(name)]
    return {line.split('"')[1]: int(float(line.split()[-1])) for line in lines}


if __name__ == "__main__":
    main()
