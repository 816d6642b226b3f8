"""Latency and size of each file: as text for a terminal, and as Markdown for the model card."""

from collections.abc import Iterator, Sequence

from clips import Variant
from training.latency import Benchmark


def latency_text(variants: Sequence[Variant], measured: Benchmark) -> str:
    """A line for each way of running a file, a column for each file; milliseconds a clip, median and (90th percentile)."""
    header = "".join(f"{variant.precision:>22}" for variant in variants)
    sizes = "".join(f"{variant.size_bytes / 1e6:>19.1f} MB" for variant in variants)
    lines = [f"{way:<28}" + "".join(f"{cell:>22}" for cell in cells) for way, cells in _rows(variants, measured)]
    return "\n".join([f"{'ms a clip: median (p90)':<28}{header}", f"{'size':<28}{sizes}", *lines, *measured.notes])


def latency_section(variants: Sequence[Variant], measured: Benchmark) -> str:
    """Markdown with a heading; empty where nothing was measured."""
    if not measured.latencies:
        return ""
    header = " | ".join(variant.precision for variant in variants)
    lines = [f"| {way} | {' | '.join(cells)} |" for way, cells in _rows(variants, measured)]
    table = "\n".join([f"| ms a clip: median (p90) | {header} |", "|---" * (1 + len(variants)) + "|", *lines])
    return (
        f"\n## Latency\n{table}\n\n" + "\n".join(measured.notes) + "\nThe files took turns; decoding is not among the time.\n"
    )


def _rows(variants: Sequence[Variant], measured: Benchmark) -> Iterator[tuple[str, list[str]]]:
    """The name of a way, and what each file takes."""
    for row in zip(*(measured.latencies[variant.precision] for variant in variants), strict=True):
        yield str(row[0].way), [f"{latency.median_ms:.1f} ({latency.p90_ms:.1f})" for latency in row]
