"""An evaluation as one HTML page that needs nothing else: figures, plots and the mistakes that the model was surest of."""

from collections.abc import Mapping, Sequence
from html import escape

import numpy as np

from training.decoding import DecodedClips
from training.evaluation import Evaluation, Mistake
from training.page import image, page, picture
from training.plots import confusion_figure, per_class_figure, reliability_figure

MISTAKES = 24
"""Shown at most."""


def html_report(
    evaluation: Evaluation, labels: list[str], decoded: DecodedClips, titles: Sequence[str], more: Sequence[str] = ()
) -> str:
    """``titles``: the model and the data, in words. ``decoded``: the clips that were measured, for their pictures.

    ``more``: sections, as HTML, in front of the mistakes.
    """
    model, data = map(escape, titles)
    sections = [
        f"<h1>{model}</h1><p>{data}</p>",
        _headline(evaluation),
        "<h2>Per class</h2>" + picture(per_class_figure(evaluation.metrics.per_class)) + _per_class(evaluation),
        "<h2>Confusion</h2>" + picture(confusion_figure(evaluation.metrics, labels, "clips, and share of the true class")),
        "<h2>Calibration</h2>" + _calibration(evaluation),
        *more,
        "<h2>Mistakes, the surest first</h2>" + _mistakes(evaluation.mistakes, decoded),
    ]
    return page(titles[0], sections)


def _headline(evaluation: Evaluation) -> str:
    metrics = evaluation.metrics
    figures = {
        "accuracy": (f"{metrics.accuracy:.1%}", _range(evaluation, "accuracy")),
        "macro-F1": (f"{metrics.macro_f1:.3f}", _range(evaluation, "macro_f1")),
        "balanced accuracy": (f"{metrics.balanced_accuracy:.1%}", ""),
        "top-5": (f"{metrics.top5_accuracy:.1%}", ""),
        "mAP": (f"{metrics.mean_average_precision:.3f}", ""),
        "loss": (f"{metrics.loss:.3f}", "nats"),
    }
    return headline_cells(figures, evaluation.groups)


def headline_cells(figures: Mapping[str, tuple[str, str]], groups: int) -> str:
    """``figures``: name to value and what stands below it, intervals over ``groups`` for instance."""
    cells = "".join(f"<div>{name}<b>{value}</b><small>{more}&nbsp;</small></div>" for name, (value, more) in figures.items())
    note = f"Intervals: 95%, by drawing the {groups} groups again."
    return f'<div class="headline">{cells}</div><p><small>{note}</small></p>'


def _range(evaluation: Evaluation, name: str) -> str:
    low, high = evaluation.intervals[name]
    return f"{low:.1%} to {high:.1%}" if name == "accuracy" else f"{low:.3f} to {high:.3f}"


def _per_class(evaluation: Evaluation) -> str:
    rows = "".join(
        f"<tr><td>{escape(row.label)}</td><td>{row.precision:.1%}</td><td>{row.recall:.1%}</td><td>{row.f1:.3f}</td>"
        f"<td>{row.clips}</td></tr>"
        for row in evaluation.metrics.per_class
    )
    return f"<table><tr><th>label</th><th>precision</th><th>recall</th><th>F1</th><th>clips</th></tr>{rows}</table>"


def _calibration(evaluation: Evaluation) -> str:
    words = (
        f"Expected calibration error {evaluation.reliability.error:.3f}. Divided by a temperature of "
        f"{evaluation.temperature:.2f}, the logits would give {evaluation.calibrated_error:.3f} on these clips, "
        "which the temperature was fitted on."
    )
    return picture(reliability_figure(evaluation.reliability)) + f"<p>{words}</p>"


def _mistakes(mistakes: Sequence[Mistake], decoded: DecodedClips) -> str:
    if not mistakes:
        return "<p>None.</p>"
    shown = "".join(_mistake(mistake, decoded) for mistake in mistakes[:MISTAKES])
    return f"<p>{len(mistakes)} clips; up to {MISTAKES} are shown.</p><div class='sheet'>{shown}</div>"


def _mistake(mistake: Mistake, decoded: DecodedClips) -> str:
    caption = (
        f"{escape(mistake.label)}, taken for <b>{escape(mistake.predicted)}</b> at {mistake.probability:.0%}<br>"
        f"{escape(mistake.name)}"
    )
    return clip_figure(decoded, mistake.position, caption)


def clip_figure(decoded: DecodedClips, position: int, caption: str) -> str:
    """First and last frame of a clip; ``caption`` is HTML already."""
    (clip,) = decoded.read([position])
    frames = clip[np.linspace(0, len(clip) - 1, 2).round().astype(int)]
    frame_pair = image(np.concatenate(list(frames), axis=1), "first and last frame")
    return f"<figure>{frame_pair}<figcaption>{caption}</figcaption></figure>"
