"""Metrics as text for a terminal."""

from training.evaluation import Evaluation
from training.metrics import Metrics


def evaluation_text(evaluation: Evaluation, labels: list[str]) -> str:
    """The table of the metrics, their intervals and the calibration."""
    return "\n\n".join((metrics_table(evaluation.metrics, labels), _certainty(evaluation)))


def _certainty(evaluation: Evaluation) -> str:
    ranges = "   ".join(f"{name} {low:.1%} to {high:.1%}" for name, (low, high) in evaluation.intervals.items())
    return (
        f"95% intervals, groups drawn again: {ranges}\n"
        f"calibration: expected error {evaluation.reliability.error:.3f}; at temperature {evaluation.temperature:.2f}, "
        f"fitted on these clips, {evaluation.calibrated_error:.3f}"
    )


def metrics_table(metrics: Metrics, labels: list[str]) -> str:
    """Headline, one line per label, confusion matrix."""
    return "\n\n".join((_headline(metrics), _per_class(metrics), _confusion(metrics, labels)))


def _headline(metrics: Metrics) -> str:
    return (
        f"accuracy {metrics.accuracy:.1%}   top-5 {metrics.top5_accuracy:.1%}   macro-F1 {metrics.macro_f1:.3f}   "
        f"balanced accuracy {metrics.balanced_accuracy:.1%}   mAP {metrics.mean_average_precision:.3f}   "
        f"loss {metrics.loss:.3f}"
    )


def _per_class(metrics: Metrics) -> str:
    width = max(len(row.label) for row in metrics.per_class)
    lines = [f"{'label':<{width}}  precision  recall     F1  clips"]
    lines += [
        f"{row.label:<{width}}  {row.precision:>9.1%} {row.recall:>7.1%}  {row.f1:.3f}  {row.clips:>5}"
        for row in metrics.per_class
    ]
    return "\n".join(lines)


def _confusion(metrics: Metrics, labels: list[str]) -> str:
    """Rows are true labels, columns predicted ones, numbered as in the rows; a dot is none."""
    width = max(map(len, labels)) + 4
    cell = max(4, 1 + max(len(str(count)) for row in metrics.confusion for count in row))
    header = "confusion (row true, column predicted)".ljust(width) if width > 38 else "true \\ predicted".ljust(width)
    lines = [header + "".join(f"{i:>{cell}}" for i in range(1, len(labels) + 1))]
    for i, (label, row) in enumerate(zip(labels, metrics.confusion, strict=True), start=1):
        lines.append(f"{i:>2}  {label}".ljust(width) + "".join(f"{count or '.':>{cell}}" for count in row))
    return "\n".join(lines)
