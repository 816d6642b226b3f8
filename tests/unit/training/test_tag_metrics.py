"""Figures of tags against values worked out by hand, their thresholds, and whether a file may be published."""

import numpy as np
import pytest
from scipy.special import expit
from sklearn.metrics import f1_score

from training.parity import compare_tags
from training.tag_calibration import fit_tag_temperature, tag_reliability, tags_at_temperature
from training.tag_metrics import NEUTRAL, mean_average_precision, measure_tags, tuned_thresholds

LABELS = ["a", "b", "c"]
TARGETS = np.array([[1, 0, 0], [1, 1, 0], [0, 1, 0], [0, 0, 0]])
# a: ranked 1 0 1 0; b: ranked 1 1 0 0; c does not occur
PROBABILITIES = np.array([[0.9, 0.1, 0.2], [0.5, 0.8, 0.1], [0.7, 0.6, 0.1], [0.1, 0.2, 0.1]], np.float32)


def test_single_numbers() -> None:
    metrics = measure_tags(PROBABILITIES, TARGETS, LABELS, [0.6, 0.5, 0.15])
    assert metrics.mean_average_precision == pytest.approx(((1 + 2 / 3) / 2 + 1) / 2)
    assert metrics.macro_f1 == pytest.approx((0.5 + 1) / 2)
    assert metrics.micro_f1 == pytest.approx(2 * 3 / (2 * 3 + 2 + 1)), "right 3, too many 2, missed 1"
    assert metrics.exact_match == 0.25, "the last clip alone"
    nats = -np.log(np.where(TARGETS, PROBABILITIES, 1 - PROBABILITIES)).sum(axis=1).mean()
    assert metrics.loss == pytest.approx(nats, rel=1e-5)


def test_a_tag_without_clips_does_not_count_in_averages_but_has_a_row() -> None:
    metrics = measure_tags(PROBABILITIES, TARGETS, LABELS)
    assert [(row.label, row.clips) for row in metrics.per_class] == [("a", 2), ("b", 2), ("c", 0)]
    assert metrics.per_class[2].average_precision == 0
    assert metrics.thresholds[2] == NEUTRAL
    assert metrics.macro_f1 == pytest.approx((0.8 + 1) / 2)


def test_clips_without_any_tag_can_be_measured() -> None:
    nothing = measure_tags(PROBABILITIES, np.zeros_like(TARGETS), LABELS, [0.95, 0.95, 0.95])
    assert (nothing.mean_average_precision, nothing.macro_f1, nothing.exact_match) == (0, 0, 1)


def test_a_threshold_lies_halfway_between_those_who_have_the_tag_and_the_others() -> None:
    assert tuned_thresholds(PROBABILITIES, TARGETS)[:2] == pytest.approx([0.3, 0.4])


@pytest.mark.parametrize("seed", range(5))
def test_no_other_threshold_has_a_higher_f1(seed: int) -> None:
    random = np.random.default_rng(seed)
    targets = (random.random((60, 1)) < 0.3).astype(int)
    probabilities = expit(random.normal(0, 1, (60, 1)) + targets)
    (tuned,) = tuned_thresholds(probabilities, targets)
    best = max(f1_score(targets, probabilities >= threshold) for threshold in np.linspace(0, 1, 2001))
    assert f1_score(targets, probabilities >= tuned) == pytest.approx(best)


def test_rounding_does_not_change_what_reaches_a_threshold() -> None:
    random = np.random.default_rng(0)
    targets = (random.random((200, 4)) < 0.3).astype(int)
    probabilities = expit(random.normal(0, 2, (200, 4)) + 3 * targets).astype(np.float32)
    thresholds = np.array(tuned_thresholds(probabilities, targets))
    shifted = probabilities + random.uniform(-1e-6, 1e-6, probabilities.shape)
    assert ((probabilities >= thresholds) == (shifted >= thresholds)).mean() == 1


@pytest.mark.parametrize("temperature", [0.5, 1.0, 3.0])
def test_the_temperature_that_was_put_in_is_found_and_mends_the_error(temperature: float) -> None:
    random = np.random.default_rng(1)
    logits = random.normal(0, 2, (3000, 3))
    targets = (random.random(logits.shape) < expit(logits)).astype(int)
    sure = expit(logits * temperature)
    found = fit_tag_temperature(sure, targets)
    assert found == pytest.approx(temperature, rel=0.1)
    assert tag_reliability(tags_at_temperature(sure, found), targets).error < 0.02
    np.testing.assert_allclose(tags_at_temperature(sure, temperature), expit(logits), atol=1e-6)


def test_calibration_counts_pairs_of_clip_and_tag() -> None:
    found = tag_reliability(np.array([[0.9, 0.1], [0.9, 0.1]]), np.array([[1, 0], [0, 0]]))
    assert found.clips == [2, 2]
    assert found.confidence == pytest.approx([0.1, 0.9])
    assert found.accuracy == pytest.approx([0.0, 0.5])


@pytest.mark.parametrize(("precision", "swapped", "passed"), [("int8", 0, True), ("int8", 30, False), ("fp32", 30, False)])
def test_a_file_may_lose_one_point_of_map(precision: str, swapped: int, passed: bool) -> None:
    """``swapped`` clips of 100 get the other tag."""
    targets = np.tile([[1, 0], [0, 1]], (50, 1))
    theirs = np.where(targets, 0.9, 0.1).astype(np.float32)
    ours = theirs.copy()
    ours[:swapped] = ours[:swapped, ::-1]
    parity = compare_tags(precision, theirs, ours, targets)  # type: ignore[arg-type]
    assert parity.passed is passed
    assert parity.torch_mean_average_precision == 1
    assert parity.drop == pytest.approx(1 - mean_average_precision(ours, targets))
    assert "mAP" in parity.figures()
    assert "accuracy" not in parity.figures()
