"""The ratios as bars: one group a set, one bar a peer."""

from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure


def plot_ratios(sets: dict[str, dict[str, Any]], path: Path) -> None:
    """Write a PNG. A bar is missing where a peer failed on every video of a set."""
    peers = list(next(iter(sets.values()))["ratios"]["ours_exact"]["peers"])
    modes = list(next(iter(sets.values()))["ratios"])
    figure = Figure(figsize=(10, 3.2 * len(modes)), layout="constrained")
    axes = figure.subplots(len(modes), 1, sharex=True, squeeze=False)
    places = np.arange(len(sets))
    for axis, mode in zip(axes[:, 0], modes, strict=True):
        for number, peer in enumerate(peers):
            means = [figures["ratios"][mode]["peers"][peer] or np.nan for figures in sets.values()]
            bars = axis.bar(places + (number - len(peers) / 2 + 0.5) * 0.8 / len(peers), means, 0.8 / len(peers), label=peer)
            axis.bar_label(bars, fmt=lambda value: "" if np.isnan(value) else f"{value:.1f}", fontsize=7)
        axis.axhline(1, color="black", linewidth=0.8)
        axis.margins(y=0.1)
        axis.set_ylabel(f"time over {mode}")
    axes[-1, 0].set_xticks(places, list(sets))
    figure.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=len(peers), fontsize=8)
    figure.suptitle("Decoding 8 frames at 224 x 224 px on one thread: time of each peer over ours")
    figure.savefig(path, dpi=120)
