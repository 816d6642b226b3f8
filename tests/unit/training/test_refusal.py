"""A refused variant says why, where, and what helps."""

import numpy as np
import pytest

from clips.manifest import Precision
from training.parity import compare, compare_tags
from training.refusal import explanation, lost_labels, lost_tags

TARGETS = np.zeros(100, np.int64)
RIGHT, WRONG = np.array([0.9, 0.1], np.float32), np.array([0.1, 0.9], np.float32)


def explained(precision: Precision, clips: int = 100, wanted: tuple[Precision, ...] = ("fp32", "fp16", "int8")) -> str:
    """Five clips are lost."""
    torch_rows, rows = np.tile(RIGHT, (clips, 1)), np.tile(RIGHT, (clips, 1))
    rows[:5] = WRONG
    return explanation(compare(precision, torch_rows, rows, TARGETS[:clips]), "5 of 9 on Lunges", 128, wanted)


def test_int8_may_want_more_clips_to_set_its_ranges_or_be_left_out() -> None:
    words = explained("int8")
    assert "95.00% against 100.00%" in words
    assert "It loses 5 of 9 on Lunges" in words
    assert "more clips than these 128 (--calibration-clips)" in words
    assert words.endswith("leave it out with --variants fp32,fp16")
    assert "validation clips: of" not in words


def test_on_few_clips_one_of_them_may_be_chance() -> None:
    assert "measure on more validation clips: of 50, one is 2.0 points" in explained("int8", clips=50)


def test_fp16_is_not_helped_by_calibration() -> None:
    assert "calibration" not in explained("fp16")


def test_fp32_is_what_the_exporter_made_of_it() -> None:
    assert "the exporter changed what is computed" in explained("fp32")


def test_what_is_wanted_alone_cannot_be_left_out() -> None:
    assert "leave it out" not in explained("int8", wanted=("int8",))


def answers(targets: np.ndarray, right: np.ndarray) -> np.ndarray:
    """(clips, 3), float32: sure of the label, or of the next one."""
    return np.eye(3, dtype=np.float32)[np.where(right, targets, (targets + 1) % 3)]


def test_labels_that_lose_most_come_first_and_those_that_lose_nothing_not_at_all() -> None:
    targets = np.repeat([0, 1, 2], 4)
    in_torch = answers(targets, np.array([True, True, True, False] * 3))
    ours = answers(targets, np.array([True, True, False, False, False, False, True, True, True, True, True, True]))
    assert lost_labels(["a", "b", "c"], in_torch, ours, targets) == "2 of 3 on b, 1 of 3 on a"


@pytest.mark.parametrize("right", [True, False])
def test_where_no_label_loses_there_is_nothing_to_tell(right: bool) -> None:
    targets = np.array([0, 1, 0])
    same = answers(targets, np.full(3, right))
    assert lost_labels(["a", "b", "c"], same, same, targets) == ""


def test_tags_lose_points_of_average_precision_and_few_clips_are_told() -> None:
    targets = np.array([[1, 1], [1, 0], [0, 1], [0, 0]])
    in_torch = np.where(targets == 1, 0.9, 0.1).astype(np.float32)
    ours = in_torch.copy()
    ours[:, 1] = [0.1, 0.9, 0.8, 0.7]
    assert lost_tags(["nod", "wave"], in_torch, in_torch, targets) == ""
    losses = lost_tags(["nod", "wave"], in_torch, ours, targets)
    assert losses == "50.0 points on wave", "its clips come second and last of four: (1/2 + 2/4) / 2"
    words = explanation(compare_tags("int8", in_torch, ours, targets), losses, 128, ("fp32", "int8"))
    assert "It loses 50.0 points on wave. Remedies: measure on more validation clips than these 4" in words
