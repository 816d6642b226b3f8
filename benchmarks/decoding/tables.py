"""The results as Markdown, for people."""

from statistics import median
from typing import Any

Sets = dict[str, dict[str, Any]]


def summary_table(sets: Sets, overall: dict[str, float | None]) -> str:
    """One row a set: our modes against the fastest peer that returned the right frames, and how far they are from the floor."""
    rows = [_row("set", "videos", "mode", "ratio", "lowest", "against wrong frames too", "times the floor"), _row(*["---"] * 7)]
    for name, figures in sets.items():
        for mode, ratios in figures["ratios"].items():
            right, every = ratios["fastest_right_peer"], ratios["fastest_peer"]
            means = [_number(r["geometric_mean"]) for r in (right, every)]
            lowest = f"{_number(right.get('minimum'))} ({right.get('minimum_at')})"
            rows.append(
                _row(name, right.get("videos", 0), mode, means[0], lowest, means[1], _number(ratios["times_the_floor"]))
            )
    rows += [_row("**all sets**", "", mode, f"**{_number(ratio)}**", "", "", "") for mode, ratio in overall.items()]
    return "\n".join(rows)


def contestant_table(name: str, figures: dict[str, Any]) -> str:
    """One row a contestant. The ratio is its time over that of ``ours_exact``, the geometric mean over the videos."""
    head = ("", "clips/s", "p50 ms", "p99 ms", "time over ours", "videos", "right frames", "wrong", "failed")
    rows = [f"### {name}: {len(figures['videos'])} videos\n", _row(*head), _row(*["---"] * len(head))]
    for contestant, its in figures["contestants"].items():
        ratio = figures["ratios"]["ours_exact"]["peers"].get(contestant)
        times = [_number(its["milliseconds"].get(p)) for p in ("p50", "p99")]
        judged = [its["right"], len(its["wrong"])] if its["levels_from_ours"] else ["", ""]
        speed = _number(its["clips_per_second"])
        rows.append(_row(contestant, speed, *times, _number(ratio), its["videos"], *judged, len(its["failed"])))
    return "\n".join(rows)


def video_table(name: str, figures: dict[str, Any]) -> str:
    """One row a video, ms: for sets that are small enough to be read."""
    contestants = list(figures["contestants"])
    rows = [f"### {name}, ms\n", _row("video", *contestants), _row(*["---"] * (1 + len(contestants)))]
    for video in figures["videos"]:
        times = [its["raw_milliseconds"].get(video) for its in figures["contestants"].values()]
        rows.append(_row(video, *[f"{median(taken):.0f}" if taken else "" for taken in times]))
    return "\n".join(rows)


def remarks(figures: dict[str, Any]) -> str:
    """One line for each contestant and video on which something went wrong, or was different."""
    lines = []
    for contestant, its in figures["contestants"].items():
        for kind in ("failed", "wrong", "remarks"):
            lines += [f"- {contestant}, {kind}, {video}: {reason}" for video, reason in its[kind].items()]
    return "\n".join(lines)


def _row(*cells: object) -> str:
    return f"| {' | '.join(map(str, cells))} |"


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.2f}" if value < 10 else f"{value:.1f}"
