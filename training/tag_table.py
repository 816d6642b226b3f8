"""Metrics of tags as text for a terminal."""

from training.tag_evaluation import TagEvaluation
from training.tag_metrics import TagMetrics


def tag_evaluation_text(evaluation: TagEvaluation, labels: list[str]) -> str:  # noqa: ARG001 - they are in the rows
    """The table of the metrics, their intervals and the calibration."""
    return "\n\n".join((_headline(evaluation), _per_tag(evaluation.metrics), _certainty(evaluation)))


def _headline(evaluation: TagEvaluation) -> str:
    metrics = evaluation.metrics
    source = "tuned on these clips, because the checkpoint has none" if evaluation.tuned_here else "those of the model"
    return (
        f"mAP {metrics.mean_average_precision:.3f}   macro-F1 {metrics.macro_f1:.3f}   micro-F1 {metrics.micro_f1:.3f}   "
        f"all tags right {metrics.exact_match:.1%}   loss {metrics.loss:.3f}\nthresholds: {source}"
    )


def _per_tag(metrics: TagMetrics) -> str:
    width = max(3, *(len(row.label) for row in metrics.per_class))
    lines = [f"{'tag':<{width}}     AP  threshold  precision  recall     F1  clips"]
    lines += [
        f"{row.label:<{width}}  {row.average_precision:.3f}  {row.threshold:>9.3f}  {row.precision:>9.1%} {row.recall:>7.1%}  "
        f"{row.f1:.3f}  {row.clips:>5}"
        for row in metrics.per_class
    ]
    return "\n".join(lines)


def _certainty(evaluation: TagEvaluation) -> str:
    names = {"mean_average_precision": "mAP", "macro_f1": "macro-F1"}
    ranges = "   ".join(f"{names[name]} {low:.3f} to {high:.3f}" for name, (low, high) in evaluation.intervals.items())
    return (
        f"95% intervals, groups drawn again: {ranges}\n"
        f"calibration: expected error {evaluation.reliability.error:.3f}; at temperature {evaluation.temperature:.2f}, "
        f"fitted on these clips, {evaluation.calibrated_error:.3f}"
    )
