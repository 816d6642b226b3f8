"""Robustness for people: a table on the terminal, a section of the HTML report."""

from collections.abc import Sequence

from training.page import picture
from training.plots import Panel, panels_figure
from training.robustness import RobustnessRow

IN_WORDS = {
    "frames": "frames that the model looks at",
    "size": "size that the model looks at, px",
    "video_frames": "distinct frames of the video",
    "video_size": "size of the video, px",
}


def robustness_text(rows: Sequence[RobustnessRow]) -> str:
    """One line for each change, with the difference from what the model was trained for."""
    width = max(map(len, IN_WORDS.values()))
    lines = [f"{'robustness, one change at a time':<{width}}         accuracy            macro-F1   clips"]
    for row in rows:
        reference = _trained(rows, row)
        accuracy, macro_f1 = f"{row.accuracy:>6.1%}", f"{row.macro_f1:.3f}"
        accuracy += f" {100 * (row.accuracy - reference.accuracy):>+7.1f}" if not row.trained else " trained"
        macro_f1 += f" {row.macro_f1 - reference.macro_f1:>+7.3f}" if not row.trained else " trained"
        lines.append(f"{IN_WORDS[row.axis]:<{width}}  {row.value:>4}  {accuracy}   {macro_f1}  {row.clips:>5}")
    return "\n".join(lines)


def robustness_section(rows: Sequence[RobustnessRow]) -> str:
    """HTML: a panel for each axis, and the table."""
    panels = [
        Panel(
            IN_WORDS[axis],
            [row.value for row in rows if row.axis == axis],
            {
                "accuracy": [row.accuracy for row in rows if row.axis == axis],
                "macro-F1": [row.macro_f1 for row in rows if row.axis == axis],
            },
            next(row.value for row in rows if row.axis == axis and row.trained),
        )
        for axis in dict.fromkeys(row.axis for row in rows)
    ]
    header = "<tr><th>what changes</th><th></th><th>accuracy</th><th>macro-F1</th><th>clips</th></tr>"
    lines = "".join(
        f"<tr><td>{IN_WORDS[row.axis]}</td><td>{row.value}{' (trained)' if row.trained else ''}</td><td>{row.accuracy:.1%}</td>"
        f"<td>{row.macro_f1:.3f}</td><td>{row.clips}</td></tr>"
        for row in rows
    )
    note = "One change at a time, all else as the model was trained; dashed: what it was trained for."
    return f"<h2>Robustness</h2>{picture(panels_figure(panels))}<table>{header}{lines}</table><p><small>{note}</small></p>"


def _trained(rows: Sequence[RobustnessRow], row: RobustnessRow) -> RobustnessRow:
    return next(other for other in rows if other.axis == row.axis and other.trained)
