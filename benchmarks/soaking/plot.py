"""Memory, descriptors and threads over time, as a picture."""

from collections.abc import Sequence
from pathlib import Path

from matplotlib.figure import Figure

from benchmarks.soaking.processes import Holding, Sample
from benchmarks.soaking.slope import Slope

_MB = 1e6


def plot(samples: Sequence[Sample], line: Slope, warm_up_seconds: float, path: Path) -> None:
    """Write a PNG: the server's memory with its line, that of each decode process, and the server's counts."""
    figure = Figure(figsize=(10, 9), layout="constrained")
    server, decode, counts = figure.subplots(3, 1, sharex=True)
    minutes = [sample.seconds / 60 for sample in samples]
    for name in ("rss_bytes", "pss_bytes", "anonymous_bytes"):
        server.plot(minutes, [getattr(sample.server, name) / _MB for sample in samples], label=name.removesuffix("_bytes"))
    ends = (warm_up_seconds, samples[-1].seconds)
    label = f"{line.per_hour / _MB:+.2f} ± {line.standard_error / _MB:.2f} MB/h"
    server.plot([end / 60 for end in ends], [line.at(end) / _MB for end in ends], "k--", label=label)
    for pid in sorted({holding.pid for sample in samples for holding in sample.decode}):
        points = [(sample.seconds / 60, found.rss_bytes / _MB) for sample in samples if (found := _of(sample, pid))]
        decode.plot(*zip(*points, strict=True), linewidth=0.8)
    counts.plot(minutes, [sample.server.descriptors for sample in samples], label="descriptors")
    counts.plot(minutes, [sample.server.threads for sample in samples], label="threads")
    for axis, title in ((server, "server, MB"), (decode, "RSS of each decode process, MB"), (counts, "server, number")):
        axis.set_ylabel(title)
        axis.axvspan(0, warm_up_seconds / 60, color="0.93")
    for axis in (server, counts):
        axis.legend(fontsize=8)
    counts.set_xlabel("minutes of load (grey: warm-up, not counted)")
    figure.savefig(path, dpi=110)


def _of(sample: Sample, pid: int) -> Holding | None:
    return next((holding for holding in sample.decode if holding.pid == pid), None)
