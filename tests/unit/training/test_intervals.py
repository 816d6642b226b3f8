"""Intervals by resampling groups."""

import numpy as np
import pytest

from training.intervals import Interval, bootstrap_interval


def accuracy(probabilities: np.ndarray, targets: np.ndarray) -> float:
    return float((probabilities.argmax(axis=1) == targets).mean())


def measured(right: list[bool]) -> tuple[np.ndarray, np.ndarray]:
    probabilities = np.array([[0.9, 0.1]] * len(right))
    return probabilities, np.array([0 if each else 1 for each in right])


def test_an_interval_holds_the_figure_and_is_that_of_a_proportion() -> None:
    probabilities, targets = measured([True] * 80 + [False] * 20)
    low, high = bootstrap_interval(accuracy, probabilities, targets, [str(clip) for clip in range(100)])
    assert low < 0.8 < high
    assert high - low == pytest.approx(2 * 1.96 * 0.04, rel=0.2)


def test_clips_that_are_right_together_say_less() -> None:
    probabilities, targets = measured([True] * 80 + [False] * 20)
    alone = bootstrap_interval(accuracy, probabilities, targets, [str(clip) for clip in range(100)])
    together = bootstrap_interval(accuracy, probabilities, targets, [str(clip // 20) for clip in range(100)])
    assert together.high - together.low > 2 * (alone.high - alone.low)


def test_it_is_repeatable_and_one_group_says_nothing() -> None:
    probabilities, targets = measured([True, False] * 10)
    groups = [str(clip // 2) for clip in range(20)]
    assert bootstrap_interval(accuracy, probabilities, targets, groups) == bootstrap_interval(
        accuracy, probabilities, targets, groups
    )
    assert bootstrap_interval(accuracy, probabilities, targets, ["one"] * 20) == Interval(0.0, 1.0)
