"""More arrivals than a server can answer: what is still answered in time, how the rest is refused, and how it recovers.

Peers are set up as an operator would who has read their documentation and measured their capacity: room for what can be
answered within about 0.5 s, as far as the framework can bound it (``protected``); or as they come (``as shipped``).
"""

import asyncio
import time
from collections.abc import Sequence
from statistics import median
from typing import Any

from benchmarks.load import Client, Reply, send_open_loop
from benchmarks.peers.field import Field
from benchmarks.peers.phases import NAMES, PATIENCE_SECONDS, say, statuses
from benchmarks.peers.running import Running
from benchmarks.record import percentiles

FACTORS = (2, 3)
IN_TIME_SECONDS = 1.0
ROOM_SECONDS = 0.5
_PROBE_PAUSE_SECONDS = 0.25
_RECOVERY_SECONDS = 30.0
_AS_SHIPPED = {"limit": None, "give_up_seconds": None}


def overload(field: Field, capacities: dict[str, float], seconds: float, protected: bool) -> dict[str, Any]:
    """For each server and factor: arrivals at that multiple of its own capacity for ``seconds``; a fresh server for each."""
    figures: dict[str, Any] = {"within_seconds": IN_TIME_SECONDS, "patience_seconds": PATIENCE_SECONDS, "servers": {}}
    for factor in FACTORS:
        for contestant in field.contestants:
            capacity = capacities[contestant.name]
            protection = _protection(capacity) if protected and not contestant.is_ours else _AS_SHIPPED
            with field.turn(contestant, **protection) as server:
                row = asyncio.run(_overload(server, field.videos, factor * capacity, seconds))
                row["resident_after_mib"] = server.resident_mib()
            row["goodput_share_of_capacity"] = round(row["in_time_per_second"] / capacity, 3)
            figures["servers"].setdefault(contestant.name, {"protection": protection})[f"{factor}x"] = row
            say(f"{factor} x {contestant.name}: { ({k: v for k, v in row.items() if k != 'normal_ms'}) }")
    return figures


def _protection(capacity: float) -> dict[str, Any]:
    return {"limit": max(2, int(ROOM_SECONDS * capacity)), "give_up_seconds": ROOM_SECONDS}


async def _overload(server: Running, videos: Sequence[bytes], rate: float, seconds: float) -> dict[str, Any]:
    normal = median([(await server.client().post(videos[0])).latency_seconds for _ in range(5)])
    tasks = await send_open_loop(server.client(PATIENCE_SECONDS), videos, rate, seconds)
    recovery = await _recovery_seconds(server, videos[0], max(2 * normal, normal + 0.1))
    replies = await asyncio.gather(*tasks)
    in_time = sum(reply.status == 200 and reply.latency_seconds <= IN_TIME_SECONDS for reply in replies)
    return {
        "rate_per_second": round(rate, 2),
        "in_time_per_second": round(in_time / seconds, 2),
        "statuses": statuses(replies),
        "answers_ms": _milliseconds([reply for reply in replies if reply.status == 200]),
        "refusals_ms": _milliseconds([reply for reply in replies if reply.status not in (200, *NAMES)]),
        "refusals_with_retry_after": sum(reply.retry_after is not None for reply in replies if reply.status != 200),
        "normal_ms": round(1000 * normal, 1),
        "recovery_seconds": recovery,
    }


async def _recovery_seconds(server: Running, video: bytes, threshold_seconds: float) -> float | None:
    """From now until a request is sent that is answered about as fast as by the idle server; None: not within 30 s.

    One at a time; each is given up where it takes longer than ``threshold_seconds``.
    """
    start = time.perf_counter()
    while (sent := time.perf_counter()) - start < _RECOVERY_SECONDS:
        if (await _probe(server.client(threshold_seconds), video)).status == 200:
            return round(sent - start, 2)
        await asyncio.sleep(_PROBE_PAUSE_SECONDS)
    return None


async def _probe(client: Client, video: bytes) -> Reply:
    try:
        return await client.post(video)
    finally:
        client.close()


def _milliseconds(replies: Sequence[Reply]) -> dict[str, float]:
    return percentiles([1000 * reply.latency_seconds for reply in replies]) if replies else {}
