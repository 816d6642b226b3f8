"""``curves.png``, ``confusion_matrix.png``, ``latency.png``."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from training.calibration import Reliability
from training.history import AnyEpochResult
from training.metrics import ClassMetrics, Metrics
from training.tag_metrics import TagMetrics, TagRow

_BLUE, _ORANGE, _GREY = "#2563a8", "#d9731a", "#8a8f98"
# With more labels the cells are too small for numbers.
_MAX_COUNTED = 40

_STYLE: Any = {
    "font.size": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "#e6e8eb",
    "axes.axisbelow": True,
    "axes.titlesize": 11,
    "axes.titleweight": "bold",
}


def plot_curves(results: Sequence[AnyEpochResult], best_epoch: int, title: str, file: Path) -> None:
    """Loss, the figures of the task and learning rate over the epochs, with the best epoch marked."""
    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=(11, 7), layout="constrained")
        figure.suptitle(title)
        panels = figure.subplots(2, 2).flat
        epochs = [row.epoch for row in results]
        drawn = [row.panels() for row in results]
        for name, curves in drawn[0].items():
            _panel(next(panels), name, epochs, **{curve: [row[name][curve] for row in drawn] for curve in curves})
        rates = next(panels)
        _panel(rates, "learning rate of the head", epochs, train=[r.learning_rate for r in results])
        rates.set_yscale("log")
        for axes in figure.axes:
            _mark(axes, results, best_epoch)
        figure.savefig(file, dpi=130)


class Curve(NamedTuple):
    """One run."""

    name: str
    """Curves of one name have one colour."""
    x: Sequence[int]
    values: Sequence[float]


def curves_figure(curves: Sequence[Curve], title: str, unit: str = "epoch") -> Figure:
    """All of them in one plot, over epochs or another ``unit``."""
    names = list(dict.fromkeys(curve.name for curve in curves))
    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=(9, 4.5), layout="constrained")
        axes = figure.subplots()
        for curve in curves:
            first = next(each for each in curves if each.name == curve.name) is curve
            axes.plot(
                curve.x, curve.values, color=f"C{names.index(curve.name) % 10}", linewidth=1.4, marker=".",
                label=curve.name if first else None,
            )  # fmt: skip
        axes.set(title=title, xlabel=unit)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.legend(frameon=False)
    return figure


class Panel(NamedTuple):
    """Shares from 0 to 1 over ``x``, of which one value is ``marked``."""

    title: str
    x: Sequence[float]
    series: Mapping[str, Sequence[float]]
    marked: float


def panels_figure(panels: Sequence[Panel]) -> Figure:
    """Side by side, each with its own x axis."""
    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=(3.4 * len(panels), 3.2), layout="constrained")
        for axes, panel in zip(figure.subplots(1, len(panels), squeeze=False).flat, panels, strict=True):
            axes.plot(panel.x, np.transpose(list(panel.series.values())), label=list(panel.series), marker="o", markersize=3.5)
            axes.axvline(panel.marked, color=_GREY, linestyle="--", linewidth=1)
            axes.set(xlabel=panel.title, ylim=(-0.02, 1.02), xticks=panel.x)
        figure.axes[0].legend(frameon=False)
    return figure


def _panel(axes: Axes, title: str, epochs: list[int], **series: list[float]) -> None:
    """One line per series; a dot too where there are few epochs."""
    marker = "o" if len(epochs) < 30 else ""
    for name, values in series.items():
        axes.plot(epochs, values, color=_BLUE if name == "train" else _ORANGE, label=name, marker=marker, markersize=3.5)
    axes.set(title=title, xlabel="epoch")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    if len(series) > 1:
        axes.legend(frameon=False)


def _mark(axes: Axes, results: Sequence[AnyEpochResult], best_epoch: int) -> None:
    """Dashed: the best epoch. Dotted: where the main stage begins."""
    axes.axvline(best_epoch, color=_GREY, linestyle="--", linewidth=1)
    axes.annotate(
        f" best: {best_epoch}", (best_epoch, 1), xycoords=("data", "axes fraction"), va="top", color=_GREY, fontsize=8
    )
    stages = [row.stage for row in results]
    if "head" in stages and "main" in stages:
        axes.axvline(results[stages.index("main")].epoch - 0.5, color=_GREY, linestyle=":", linewidth=1)


def plot_confusion_matrix(metrics: Metrics, labels: list[str], title: str, folder: Path) -> None:
    """``confusion_matrix.png``: counts and shares of the true class."""
    confusion_figure(metrics, labels, title).savefig(folder / "confusion_matrix.png", dpi=130)


def plot_tags(metrics: TagMetrics, labels: list[str], title: str, folder: Path) -> None:  # noqa: ARG001 - they are in the rows
    """``tags.png``: average precision and F1 of each tag."""
    tags_figure(metrics.per_class, title).savefig(folder / "tags.png", dpi=130)


def tags_figure(rows: Sequence[TagRow], title: str) -> Figure:
    """Average precision of each tag, the best on top; a dot is its F1, a line across the bar its threshold."""
    ordered = sorted(rows, key=lambda row: row.average_precision)
    names, at = [row.label for row in ordered], range(len(ordered))
    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=(8, max(2.5, 0.28 * len(ordered) + 1.3)), layout="constrained")
        axes = figure.subplots()
        axes.barh(names, [row.average_precision for row in ordered], color=_BLUE, height=0.7, label="average precision")
        axes.scatter([row.f1 for row in ordered], at, color=_ORANGE, zorder=3, label="F1 at the threshold")
        axes.scatter([row.threshold for row in ordered], at, color=_GREY, marker="|", s=120, zorder=3, label="threshold")
        axes.set(xlim=(0, 1.02), title=title)
        axes.grid(visible=False, axis="y")
        figure.legend(loc="outside lower center", ncols=3, frameon=False)
    return figure


def confusion_figure(metrics: Metrics, labels: list[str], title: str) -> Figure:
    """In each cell how many clips, and which share of the true class, by which it is shaded."""
    counts, shares = np.array(metrics.confusion), np.array(metrics.confusion_normalised)
    side = min(24.0, max(5.0, 0.62 * len(labels) + 2.5))
    with mpl.rc_context({**_STYLE, "axes.grid": False, "axes.spines.left": False, "axes.spines.bottom": False}):
        figure = Figure(figsize=(side + 1, side), layout="constrained")
        axes = figure.subplots()
        image = axes.imshow(100 * shares, cmap="Blues", vmin=0, vmax=100)
        axes.set(title=title, xlabel="predicted", ylabel="true")
        axes.set_xticks(range(len(labels)), labels, rotation=45, ha="right", rotation_mode="anchor")
        axes.set_yticks(range(len(labels)), labels)
        axes.tick_params(length=0, labelsize=10 if len(labels) <= _MAX_COUNTED else 6)
        if len(labels) <= _MAX_COUNTED:
            _write_counts(axes, counts, shares)
        figure.colorbar(image, ax=axes, label="% of the true class", shrink=0.8)
    return figure


def reliability_figure(found: Reliability, sure: str = "probability of the first label, %", right: str = "right, %") -> Figure:
    """Accuracy over confidence, one dot for each bin with clips in it, the larger the more; on the diagonal the two agree.

    ``sure`` and ``right`` name the axes.
    """
    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=(5.2, 5), layout="constrained")
        axes = figure.subplots()
        axes.plot([0, 100], [0, 100], color=_GREY, linestyle="--", linewidth=1)
        confidence, accuracy = 100 * np.array(found.confidence), 100 * np.array(found.accuracy)
        axes.plot(confidence, accuracy, color=_BLUE, linewidth=1)
        axes.scatter(confidence, accuracy, s=12 + 400 * np.array(found.clips) / sum(found.clips), color=_BLUE)
        axes.set(title="how often right, by how sure", xlabel=sure, ylabel=right)
        axes.set(xlim=(0, 102), ylim=(-2, 102))
    return figure


def per_class_figure(rows: Sequence[ClassMetrics]) -> Figure:
    """F1 of each label, the best on top."""
    ordered = sorted(rows, key=lambda row: row.f1)
    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=(8, max(2.0, 0.28 * len(ordered) + 0.8)), layout="constrained")
        axes = figure.subplots()
        axes.barh([row.label for row in ordered], [row.f1 for row in ordered], color=_BLUE, height=0.7)
        axes.set(xlim=(0, 1), title="F1")
        axes.grid(visible=False, axis="y")
    return figure


def counts_figure(counts: Sequence[tuple[str, int]], title: str) -> Figure:
    """A bar for each name, the first on top."""
    names, values = [name for name, _ in reversed(counts)], [count for _, count in reversed(counts)]
    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=(8, max(2.0, 0.28 * len(counts) + 0.8)), layout="constrained")
        axes = figure.subplots()
        axes.bar_label(axes.barh(names, values, color=_BLUE, height=0.7), padding=3, fontsize=8)
        axes.set(title=title)
        axes.grid(visible=False, axis="y")
    return figure


def histogram_figure(values: Sequence[float], unit: str) -> Figure:
    """How many clips have which value."""
    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=(8, 3), layout="constrained")
        axes = figure.subplots()
        axes.hist(values, bins=30, color=_BLUE)
        axes.set(xlabel=unit, ylabel="clips")
    return figure


def plot_accuracy_over_time(points: Sequence[tuple[str, float, float]], time: str, accuracy: str, file: Path) -> None:
    """Name, time and accuracy in % of each; time from zero, so that twice as far is twice as slow.

    ``time`` and ``accuracy`` name the axes.
    """
    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=(6, 3.2), layout="constrained")
        axes = figure.subplots()
        for name, x, y in points:
            axes.scatter([x], [y], color=_BLUE)
            axes.annotate(f" {name}", (x, y), xytext=(4, 4), textcoords="offset points")
        axes.margins(x=0.15, y=0.3)
        axes.set(xlabel=time, ylabel=accuracy)
        axes.set_xlim(left=0)
        axes.set_ylim(top=min(101, axes.get_ylim()[1]))
        figure.savefig(file, dpi=130)


def _write_counts(axes: Axes, counts: np.ndarray, shares: np.ndarray) -> None:
    for (row, column), count in np.ndenumerate(counts):
        if count:
            colour = "white" if shares[row, column] > 0.55 else "#1b2733"
            told = f"{count}\n{shares[row, column]:.0%}"
            axes.text(column, row, told, ha="center", va="center", color=colour, fontsize=8, linespacing=1.1)
