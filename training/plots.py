"""``curves.png`` and ``confusion_matrix.png``."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from training.history import EpochResult

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


def plot_curves(results: Sequence[EpochResult], best_epoch: int, title: str, file: Path) -> None:
    """Loss, accuracy, macro-F1 and learning rate over the epochs, with the best epoch marked."""
    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=(11, 7), layout="constrained")
        figure.suptitle(title)
        panels = figure.subplots(2, 2).flat
        epochs = [row.epoch for row in results]
        _panel(next(panels), "loss", epochs, train=[r.train_loss for r in results], validation=[r.val_loss for r in results])
        _panel(
            next(panels), "accuracy, %", epochs,
            train=[100 * r.train_accuracy for r in results], validation=[100 * r.val_accuracy for r in results],
        )  # fmt: skip
        _panel(next(panels), "macro-F1 on validation clips", epochs, validation=[r.val_macro_f1 for r in results])
        rates = next(panels)
        _panel(rates, "learning rate of the head", epochs, train=[r.learning_rate for r in results])
        rates.set_yscale("log")
        for axes in figure.axes:
            _mark(axes, results, best_epoch)
        figure.savefig(file, dpi=130)


def _panel(axes: Axes, title: str, epochs: list[int], **series: list[float]) -> None:
    """One line per series; a dot too where there are few epochs."""
    marker = "o" if len(epochs) < 30 else ""
    for name, values in series.items():
        axes.plot(epochs, values, color=_BLUE if name == "train" else _ORANGE, label=name, marker=marker, markersize=3.5)
    axes.set(title=title, xlabel="epoch")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    if len(series) > 1:
        axes.legend(frameon=False)


def _mark(axes: Axes, results: Sequence[EpochResult], best_epoch: int) -> None:
    """Dashed: the best epoch. Dotted: where the main stage begins."""
    axes.axvline(best_epoch, color=_GREY, linestyle="--", linewidth=1)
    axes.annotate(
        f" best: {best_epoch}", (best_epoch, 1), xycoords=("data", "axes fraction"), va="top", color=_GREY, fontsize=8
    )
    stages = [row.stage for row in results]
    if "head" in stages and "main" in stages:
        axes.axvline(results[stages.index("main")].epoch - 0.5, color=_GREY, linestyle=":", linewidth=1)


def plot_confusion_matrix(confusion: list[list[int]], labels: list[str], title: str, file: Path) -> None:
    """Counts in each cell, shaded by the share of the true class."""
    counts = np.array(confusion)
    shares = counts / np.maximum(1, counts.sum(axis=1, keepdims=True))
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
        figure.savefig(file, dpi=130)


def _write_counts(axes: Axes, counts: np.ndarray, shares: np.ndarray) -> None:
    for (row, column), count in np.ndenumerate(counts):
        if count:
            colour = "white" if shares[row, column] > 0.55 else "#1b2733"
            axes.text(column, row, str(count), ha="center", va="center", color=colour, fontsize=9)
