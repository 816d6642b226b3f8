"""An evaluation of tags as one HTML page that needs nothing else."""

from collections.abc import Sequence
from html import escape

from training.decoding import DecodedClips
from training.html_report import MISTAKES, clip_figure, headline_cells
from training.page import page, picture
from training.plots import reliability_figure, tags_figure
from training.tag_evaluation import TagEvaluation, TagMistake
from training.tag_metrics import TagMetrics


def tag_report(
    evaluation: TagEvaluation,
    labels: list[str],  # noqa: ARG001 - they are in the rows
    decoded: DecodedClips,
    titles: Sequence[str],
    more: Sequence[str] = (),
) -> str:
    """``titles``: the model and the data, in words. ``decoded``: the clips that were measured, for their pictures.

    ``more``: sections, as HTML, in front of the mistakes.
    """
    model, data = map(escape, titles)
    sections = [
        f"<h1>{model}</h1><p>{data}</p>",
        _headline(evaluation),
        "<h2>Per tag</h2>" + picture(tags_figure(evaluation.metrics.per_class, "tags")) + _per_tag(evaluation.metrics),
        "<h2>Calibration</h2>" + _calibration(evaluation),
        *more,
        "<h2>Mistakes, the surest first</h2>" + _mistakes(evaluation.mistakes, decoded),
    ]
    return page(titles[0], sections)


def _headline(evaluation: TagEvaluation) -> str:
    metrics = evaluation.metrics
    figures = {
        "mAP": (f"{metrics.mean_average_precision:.3f}", _range(evaluation, "mean_average_precision")),
        "macro-F1": (f"{metrics.macro_f1:.3f}", _range(evaluation, "macro_f1")),
        "micro-F1": (f"{metrics.micro_f1:.3f}", ""),
        "all tags right": (f"{metrics.exact_match:.1%}", "of the clips"),
        "loss": (f"{metrics.loss:.3f}", "nats"),
    }
    source = "tuned on these clips, because the checkpoint has none" if evaluation.tuned_here else "those of the model"
    return headline_cells(figures, evaluation.groups) + f"<p><small>Thresholds: {source}.</small></p>"


def _range(evaluation: TagEvaluation, name: str) -> str:
    low, high = evaluation.intervals[name]
    return f"{low:.3f} to {high:.3f}"


def _per_tag(metrics: TagMetrics) -> str:
    rows = "".join(
        f"<tr><td>{escape(row.label)}</td><td>{row.average_precision:.3f}</td><td>{row.threshold:.3f}</td>"
        f"<td>{row.precision:.1%}</td><td>{row.recall:.1%}</td><td>{row.f1:.3f}</td><td>{row.clips}</td></tr>"
        for row in metrics.per_class
    )
    names = ("tag", "average precision", "threshold", "precision", "recall", "F1", "clips")
    return f"<table><tr>{''.join(f'<th>{name}</th>' for name in names)}</tr>{rows}</table>"


def _calibration(evaluation: TagEvaluation) -> str:
    words = (
        f"Expected calibration error {evaluation.reliability.error:.3f}, over all pairs of clip and tag. Divided by a "
        f"temperature of {evaluation.temperature:.2f}, the logits would give {evaluation.calibrated_error:.3f} on these clips, "
        "which the temperature was fitted on."
    )
    figure = reliability_figure(evaluation.reliability, "probability of a tag, %", "clips that have it, %")
    return picture(figure) + f"<p>{words}</p>"


def _mistakes(mistakes: Sequence[TagMistake], decoded: DecodedClips) -> str:
    if not mistakes:
        return "<p>None.</p>"
    shown = "".join(clip_figure(decoded, each.position, _caption(each)) for each in mistakes[:MISTAKES])
    return f"<p>{len(mistakes)} tags; up to {MISTAKES} are shown.</p><div class='sheet'>{shown}</div>"


def _caption(mistake: TagMistake) -> str:
    wrong = "missed" if mistake.missed else "given"
    has = ", ".join(mistake.tags) or "no tag"
    return f"<b>{escape(mistake.tag)}</b> {wrong} at {mistake.probability:.0%}; it has {escape(has)}<br>{escape(mistake.name)}"
