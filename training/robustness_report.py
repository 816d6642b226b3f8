"""Robustness for people: a table on the terminal, a section of the HTML report."""

from collections.abc import Sequence

from training.page import picture
from training.plots import Panel, panels_figure
from training.robustness import Axis, RobustnessRow

IN_WORDS = {
    "frames": "frames that the model looks at",
    "size": "size that the model looks at, px",
    "video_frames": "distinct frames of the video",
    "video_size": "size of the video, px",
}
_FIGURES = {"accuracy": "accuracy", "mean_average_precision": "mAP", "macro_f1": "macro-F1"}


def robustness_text(rows: Sequence[RobustnessRow]) -> str:
    """One line for each change, with the difference from what the model was trained for."""
    width = max(map(len, IN_WORDS.values()))
    names = "   ".join(f"{_FIGURES[name]:>14}" for name in rows[0].figures)
    lines = [f"{'robustness, one change at a time':<{width}}        {names}   clips"]
    for row in rows:
        reference = _trained(rows, row)
        figures = "   ".join(_beside(name, row, reference) for name in row.figures)
        lines.append(f"{IN_WORDS[row.axis]:<{width}}  {row.value:>4}  {figures}  {row.clips:>6}")
    return "\n".join(lines)


def robustness_section(rows: Sequence[RobustnessRow]) -> str:
    """HTML: a panel for each axis, and the table."""
    names = list(rows[0].figures)
    panels = [_panel(axis, [row for row in rows if row.axis == axis]) for axis in dict.fromkeys(row.axis for row in rows)]
    header = "".join(f"<th>{title}</th>" for title in ("what changes", "", *(_FIGURES[name] for name in names), "clips"))
    lines = "".join(
        f"<tr><td>{IN_WORDS[row.axis]}</td><td>{row.value}{' (trained)' if row.trained else ''}</td>"
        f"{''.join(f'<td>{_shown(name, row.figures[name])}</td>' for name in names)}<td>{row.clips}</td></tr>"
        for row in rows
    )
    note = "One change at a time, all else as the model was trained; dashed: what it was trained for."
    table = f"<table><tr>{header}</tr>{lines}</table>"
    return f"<h2>Robustness</h2>{picture(panels_figure(panels))}{table}<p><small>{note}</small></p>"


def _panel(axis: Axis, rows: Sequence[RobustnessRow]) -> Panel:
    series = {_FIGURES[name]: [row.figures[name] for row in rows] for name in rows[0].figures}
    return Panel(IN_WORDS[axis], [row.value for row in rows], series, _trained(rows, rows[0]).value)


def _beside(name: str, row: RobustnessRow, reference: RobustnessRow) -> str:
    """A figure, and how far it is from that of what the model was trained for."""
    change = row.figures[name] - reference.figures[name]
    told = "trained" if row.trained else f"{100 * change:+.1f}" if name == "accuracy" else f"{change:+.3f}"
    return f"{_shown(name, row.figures[name]):>6} {told:>7}"


def _shown(name: str, value: float) -> str:
    return f"{value:.1%}" if name == "accuracy" else f"{value:.3f}"


def _trained(rows: Sequence[RobustnessRow], row: RobustnessRow) -> RobustnessRow:
    return next(other for other in rows if other.axis == row.axis and other.trained)
