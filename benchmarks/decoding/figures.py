"""From times to ratios: how many times as fast as the fastest peer, video by video."""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from benchmarks.decoding.contestant import Contestant
from benchmarks.decoding.measure import Measured
from benchmarks.record import percentiles


def set_figures(measured: Measured, contestants: Sequence[Contestant]) -> dict[str, Any]:
    """Everything that is recorded of one set."""
    seconds = {c.name: measured.typical_seconds(c.name) for c in contestants}
    peers = [c.name for c in contestants if c.is_peer]
    return {
        "videos": measured.videos,
        "not_judged": measured.failures["reference"],
        "contestants": {c.name: _contestant(measured, c.name, seconds[c.name]) for c in contestants},
        "ratios": {mode: _ratios(measured, seconds, mode, peers) for mode in seconds if mode.startswith("ours_")},
    }


def _contestant(measured: Measured, name: str, seconds: dict[str, float]) -> dict[str, Any]:
    milliseconds = [1000 * value for value in seconds.values()]
    verdicts = measured.verdicts[name]
    return {
        "videos": len(seconds),
        "clips_per_second": round(len(seconds) / sum(seconds.values()), 2) if seconds else None,
        "milliseconds": percentiles(milliseconds) if milliseconds else {},
        "right": sum(verdict.is_right for verdict in verdicts.values()),
        "wrong": {video: verdict.reason for video, verdict in verdicts.items() if not verdict.is_right},
        "remarks": {video: verdict.reason for video, verdict in verdicts.items() if verdict.is_right and verdict.reason},
        "levels_from_ours": percentiles([verdict.levels for verdict in verdicts.values()]) if verdicts else {},
        "failed": measured.failures[name],
        "raw_milliseconds": {v: [round(1000 * s, 3) for s in all_] for v, all_ in measured.seconds[name].items()},
    }


def _ratios(measured: Measured, seconds: dict[str, dict[str, float]], mode: str, peers: list[str]) -> dict[str, Any]:
    """Time of a peer over ours; above 1 we are faster. A peer counts for a video where it did not fail."""
    ours, floor = seconds[mode], seconds[mode.replace("ours_", "floor_")]
    right = {p: {v: s for v, s in seconds[p].items() if measured.is_right(p, v)} for p in peers}
    return {
        "fastest_right_peer": _summary(_fastest(right), ours),
        "fastest_peer": _summary(_fastest({p: seconds[p] for p in peers}), ours),
        "peers": {p: _geometric_mean(s / ours[v] for v, s in seconds[p].items() if v in ours) for p in peers},
        "times_the_floor": _geometric_mean(ours[v] / floor[v] for v in ours if v in floor),
    }


def _fastest(seconds: dict[str, dict[str, float]]) -> dict[str, tuple[float, str]]:
    """For each video the shortest time, and whose it is."""
    videos = {video for by_video in seconds.values() for video in by_video}
    return {v: min((by_video[v], peer) for peer, by_video in seconds.items() if v in by_video) for v in videos}


def _summary(theirs: dict[str, tuple[float, str]], ours: dict[str, float]) -> dict[str, Any]:
    """Geometric mean and minimum of the ratios, with the slowest video and every one."""
    ratios = {video: theirs[video][0] / seconds for video, seconds in ours.items() if video in theirs}
    if not ratios:
        return {"geometric_mean": None}
    lowest = min(ratios, key=lambda video: ratios[video])
    return {
        "geometric_mean": _geometric_mean(ratios.values()),
        "videos": len(ratios),
        "lower_than_1": sum(ratio < 1 for ratio in ratios.values()),
        "minimum": round(ratios[lowest], 3),
        "minimum_at": lowest,
        "by_video": {video: [round(ratio, 3), theirs[video][1]] for video, ratio in ratios.items()},
    }


def overall(sets: dict[str, dict[str, Any]], against: str = "fastest_right_peer") -> dict[str, float | None]:
    """By mode, the geometric mean over the sets, each counting once."""
    modes = next(iter(sets.values()))["ratios"]
    return {mode: _geometric_mean(s["ratios"][mode][against]["geometric_mean"] for s in sets.values()) for mode in modes}


def _geometric_mean(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return round(float(np.exp(np.mean(np.log(known)))), 3) if known else None
