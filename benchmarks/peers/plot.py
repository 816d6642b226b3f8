"""Throughput and latency of one tier, side by side."""

from pathlib import Path
from typing import Any

from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullLocator, StrMethodFormatter


def plot_tier(name: str, tier: dict[str, Any], path: Path) -> None:
    """Write a PNG: a bar for each server at saturation, and p50 to p99 of each in the open loop."""
    saturated, delayed = tier["saturation"]["servers"], tier["latency"]["servers"]
    servers = sorted(saturated, key=lambda server: saturated[server]["median_ratio_to_bare"])
    figure = Figure(figsize=(10, 3.4), layout="constrained")
    left, right = figure.subplots(1, 2, sharey=True)
    bars = left.barh(servers, [saturated[server]["median_ratio_to_bare"] for server in servers])
    left.bar_label(bars, fmt="%.2f", fontsize=8, padding=-24, color="white")
    left.axvline(1, color="black", linewidth=0.8)
    left.set_xlabel("answers a second at saturation, over the bare limit")
    for rank, marker in (("p50", "o"), ("p95", "s"), ("p99", "D")):
        values = [delayed[server]["latency_ms"].get(rank) for server in servers if server in delayed]
        right.plot(values, [server for server in servers if server in delayed], marker, label=rank)
    right.set_xscale("log")
    right.xaxis.set(
        major_locator=LogLocator(subs=(1, 2, 5)), minor_locator=NullLocator(), major_formatter=StrMethodFormatter("{x:.0f}")
    )
    right.set_xlabel(f"latency, ms, at {tier['latency']['rate_per_second']} arrivals a second")
    right.legend(fontsize=8)
    figure.suptitle(f"Tier {name}: {tier['model']}, decoder of the peers: {tier['decoder']}")
    figure.savefig(path, dpi=110)
