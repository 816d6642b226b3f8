"""The measurements. In each, contestants take turns (A B C ... A B C ...), every turn with a fresh server."""

import asyncio
import time
from collections import Counter
from collections.abc import Sequence
from statistics import median
from typing import Any

from benchmarks.load import GAVE_UP, NO_ANSWER, Reply, closed_loop, open_loop, poisson_arrivals
from benchmarks.peers.bare import Bare
from benchmarks.peers.contestants import OURS
from benchmarks.peers.field import CLIENTS, Field
from benchmarks.peers.ideal import ideal_latencies
from benchmarks.record import percentiles

PATIENCE_SECONDS = 10.0
"""After this a client gives up and closes its connection."""
SHARE_OF_BEST_PEER = 0.6
NAMES = {NO_ANSWER: "no answer", GAVE_UP: "gave up"}


def configurations(field: Field, rounds: int, seconds: float) -> dict[str, Any]:
    """Closed loop of 16 clients on each configuration of each contestant: answers a second of each round, by label."""
    figures: dict[str, dict[str, list[float]]] = {
        c.name: {configuration.label: [] for configuration in c.configurations} for c in field.contestants
    }
    for turn in range(rounds):
        for contestant in field.contestants:
            for configuration in contestant.configurations:
                with field.turn(contestant, configuration) as server:
                    replies, took = asyncio.run(closed_loop(server.client(), field.videos, CLIENTS, seconds))
                rates = figures[contestant.name][configuration.label]
                rates.append(_good_per_second(replies, took))
                say(f"round {turn + 1} of {rounds}, {contestant.name}, {configuration.label}: {rates[-1]} clips/s")
    return figures


def saturation(field: Field, bare: Bare, rounds: int, seconds: float) -> dict[str, Any]:
    """Closed loop of 16 clients, beside the bare limit of the same round; start-up time and idle memory on the way."""
    limits: list[tuple[float, float]] = []
    rows: dict[str, dict[str, list[Any]]] = {
        c.name: {"clips_per_second": [], "statuses": [], "start_seconds": [], "idle_mib": [], "clips_per_cpu_second": []}
        for c in field.contestants
    }
    for turn in range(rounds):
        limits.append(bare.clips_per_second(seconds))
        say(f"round {turn + 1} of {rounds}, bare limit: {limits[-1][0]} clips/s")
        for contestant in field.contestants:
            row = rows[contestant.name]
            with field.turn(contestant) as server:
                row["start_seconds"].append(round(server.start_seconds, 2))
                row["idle_mib"].append(server.resident_mib())
                spent = server.processor_seconds()
                replies, took = asyncio.run(closed_loop(server.client(), field.videos, CLIENTS, seconds))
                row["clips_per_cpu_second"].append(_good_per_second(replies, server.processor_seconds() - spent))
            row["clips_per_second"].append(_good_per_second(replies, took))
            row["statuses"].append(statuses(replies))
            say(f"round {turn + 1} of {rounds}, {contestant.name}: {row['clips_per_second'][-1]} clips/s")
    return {
        "bare": {"clips_per_second": [rate for rate, _ in limits], "clips_per_cpu_second": [rate for _, rate in limits]},
        "servers": {name: _saturated(row, [rate for rate, _ in limits]) for name, row in rows.items()},
    }


def _saturated(row: dict[str, list[Any]], limits: list[float]) -> dict[str, Any]:
    ratios = [round(rate / limit, 3) for rate, limit in zip(row["clips_per_second"], limits, strict=True)]
    return {
        "median_clips_per_second": round(median(row["clips_per_second"]), 3),
        "median_ratio_to_bare": round(median(ratios), 3),
        "median_clips_per_cpu_second": round(median(row["clips_per_cpu_second"]), 3),
        "median_start_seconds": round(median(row["start_seconds"]), 3),
        "median_idle_mib": round(median(row["idle_mib"]), 3),
        "ratios_to_bare": ratios,
        **row,
    }


def latency(field: Field, capacities: dict[str, float], limit: float, rounds: int, seconds: float) -> dict[str, Any]:
    """Poisson arrivals at the same rate for all; latency of 200s from the intended send time.

    ``limit`` is the bare limit, clips a second: what an ideal queue makes of the same arrivals at that pace stands beside them.
    """
    best = max((name for name in capacities if name != OURS), key=lambda name: capacities[name], default=OURS)
    rate = SHARE_OF_BEST_PEER * capacities[best]
    replies: dict[str, list[list[Reply]]] = {c.name: [] for c in field.contestants}
    for turn in range(rounds):
        for contestant in field.contestants:
            with field.turn(contestant) as server:
                client = server.client(PATIENCE_SECONDS)
                seen, _ = asyncio.run(open_loop(client, field.videos, rate, seconds, seed=turn))
            replies[contestant.name].append(seen)
            say(f"round {turn + 1} of {rounds}, {contestant.name}: {_latency_ms(seen)}")
    return {
        "rate_per_second": round(rate, 2),
        "best_peer": best,
        "ideal_queue_ms": _ideal_ms(rate, limit, field.task.workers, rounds, seconds),
        "servers": {name: _latencies(rounds_) for name, rounds_ in replies.items()},
    }


def _ideal_ms(rate: float, limit: float, processors: int, rounds: int, seconds: float) -> dict[str, float]:
    together = []
    for turn in range(rounds):
        together += ideal_latencies(poisson_arrivals(rate, seconds, seed=turn), processors, processors / limit)
    if not together:
        return {}
    return {name: round(value, 1) for name, value in percentiles([1000 * latency for latency in together]).items()}


def _latencies(rounds: Sequence[Sequence[Reply]]) -> dict[str, Any]:
    together = [reply for round_ in rounds for reply in round_]
    return {
        "latency_ms": _latency_ms(together),
        "rounds_ms": [_latency_ms(round_) for round_ in rounds],
        "statuses": statuses(together),
        "raw_ms": [[round(1000 * reply.latency_seconds, 1) for reply in round_] for round_ in rounds],
    }


def _latency_ms(replies: Sequence[Reply]) -> dict[str, float]:
    good = [1000 * reply.latency_seconds for reply in replies if reply.status == 200]
    return {name: round(value, 1) for name, value in percentiles(good).items()} if good else {}


def _good_per_second(replies: Sequence[Reply], seconds: float) -> float:
    return round(sum(reply.status == 200 for reply in replies) / seconds, 2)


def statuses(replies: Sequence[Reply]) -> dict[str, int]:
    """How often each status came; in words where there was none."""
    return dict(Counter(NAMES.get(reply.status, str(reply.status)) for reply in replies))


def say(line: str) -> None:
    """Progress, with the time."""
    print(time.strftime("%H:%M:%S"), line, flush=True)
