"""The recorded figures of a tier as the tables of benchmarks/README.md."""

from statistics import median
from typing import Any


def print_tier(name: str, tier: dict[str, Any]) -> None:
    """Markdown, one table for each phase that was measured."""
    for phase, write in _TABLES.items():
        if phase in tier:
            print(f"\n{name}, {phase}\n")
            print("\n".join(write(tier[phase])))


def _configurations(figures: dict[str, Any]) -> list[str]:
    rows = [
        (name, label, round(median(seen), 2)) for name, rates in figures["servers"].items() for label, seen in rates.items()
    ]
    return _table(("server", "configuration", "clips/s"), rows)


def _saturation(figures: dict[str, Any]) -> list[str]:
    columns = (
        "median_ratio_to_bare",
        "median_clips_per_second",
        "median_clips_per_cpu_second",
        "median_start_seconds",
        "median_idle_mib",
    )
    rows = [(name, *(round(row[column], 2) for column in columns)) for name, row in figures["servers"].items()]
    heads = (
        "server",
        "share of the bare limit",
        "clips/s",
        "clips per s of processor time",
        "start to first answer, s",
        "idle memory, MiB",
    )
    bare = (
        "bare limit",
        1,
        *(round(median(figures["bare"][c]), 2) for c in ("clips_per_second", "clips_per_cpu_second")),
        "",
        "",
    )
    return _table(heads, [bare, *sorted(rows, key=lambda row: -row[1])])


def _latency(figures: dict[str, Any]) -> list[str]:
    columns = ("p50", "p90", "p95", "p99")
    rows = [
        (name, *(row["latency_ms"].get(c, "-") for c in columns), _not_200(row["statuses"]))
        for name, row in figures["servers"].items()
    ]
    if ideal := figures.get("ideal_queue_ms"):
        rows.insert(0, ("ideal queue", *(ideal[c] for c in columns), ""))
    return [f"{figures['rate_per_second']} arrivals a second", "", *_table(("server", *columns, "not 200"), rows)]


def _overload(figures: dict[str, Any]) -> list[str]:
    rows = [
        (
            name,
            factor,
            row[factor]["goodput_share_of_capacity"],
            ", ".join(f"{status}: {count}" for status, count in row[factor]["statuses"].items()),
            row[factor]["answers_ms"].get("p50", "-"),
            " / ".join(str(row[factor]["refusals_ms"].get(rank, "-")) for rank in ("p50", "p99", "max")),
            "over 30" if row[factor]["recovery_seconds"] is None else row[factor]["recovery_seconds"],
        )
        for factor in ("2x", "3x")
        for name, row in figures["servers"].items()
    ]
    heads = ("server", "load", "in time, of capacity", "statuses", "200: p50 ms", "refusals p50 / p99 / max ms", "recovery s")
    return _table(heads, rows)


_TABLES = {
    "configurations": _configurations,
    "saturation": _saturation,
    "latency": _latency,
    "overload": _overload,
    "overload_as_shipped": _overload,
}


def _not_200(statuses: dict[str, int]) -> int:
    return sum(count for status, count in statuses.items() if status != "200")


def _table(heads: tuple[str, ...], rows: list[tuple[Any, ...]]) -> list[str]:
    lines = [heads, tuple("---" for _ in heads), *rows]
    return ["| " + " | ".join(map(str, line)) + " |" for line in lines]
