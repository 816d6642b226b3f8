"""Which files may be published."""

import numpy as np
import pytest

from training.parity import Parity, compare


def parity(precision: str, difference: float, lost_clips: int) -> Parity:
    """``lost_clips`` of 100 that torch had right, and a difference of one probability."""
    targets = np.zeros(100, np.int64)
    torch_probabilities = np.tile(np.array([0.9, 0.1], np.float32), (100, 1))
    probabilities = torch_probabilities.copy()
    probabilities[0, 0] -= difference
    probabilities[:lost_clips] = (0.1, 0.9)
    return compare(precision, torch_probabilities, probabilities, targets)  # type: ignore[arg-type]


@pytest.mark.parametrize(("difference", "passed"), [(5e-5, True), (2e-4, False)])
def test_fp32_may_differ_by_less_than_a_ten_thousandth(difference: float, passed: bool) -> None:
    assert parity("fp32", difference, 0).passed is passed


@pytest.mark.parametrize(("lost", "passed"), [(0, True), (1, True), (2, False)])
def test_int8_may_lose_one_point(lost: int, passed: bool) -> None:
    assert parity("int8", 0.05, lost).passed is passed


def test_the_figures_are_in_the_message() -> None:
    figures = parity("int8", 0.0, 3).figures()
    assert "97.00% against 100.00%" in figures
    assert "100 clips" in figures
    assert "same label for 97.0%" in figures
