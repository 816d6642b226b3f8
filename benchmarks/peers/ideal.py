"""A queue without a server: each video on one processor for the bare limit's mean time, and nothing else costs anything."""

from collections.abc import Iterable
from heapq import heapify, heapreplace


def ideal_latencies(arrivals: Iterable[float], processors: int, service_seconds: float) -> list[float]:
    """Latency of each arrival, s, where each takes a processor for ``service_seconds`` and those that wait are taken in order.

    Nothing else costs anything. ``arrivals`` are times in order, s.
    """
    free = [0.0] * processors
    heapify(free)
    latencies = []
    for arrival in arrivals:
        done = max(arrival, free[0]) + service_seconds
        heapreplace(free, done)
        latencies.append(done - arrival)
    return latencies
