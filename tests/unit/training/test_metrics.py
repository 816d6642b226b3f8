"""Metrics against values worked out by hand."""

import numpy as np
import pytest

from training.metrics import measure
from training.metrics_table import metrics_table

LABELS = ["a", "b", "c"]
# true a a b b, predicted a b b b
PROBABILITIES = np.array([[0.8, 0.1, 0.1], [0.2, 0.7, 0.1], [0.1, 0.8, 0.1], [0.0, 1.0, 0.0]], np.float32)
TARGETS = np.array([0, 0, 1, 1])


def test_single_numbers() -> None:
    metrics = measure(PROBABILITIES, TARGETS, LABELS)
    assert metrics.clips == 4
    assert metrics.accuracy == 0.75
    assert metrics.balanced_accuracy == 0.75
    assert metrics.macro_f1 == pytest.approx((2 / 3 + 4 / 5) / 2)
    assert metrics.loss == pytest.approx(-np.log([0.8, 0.2, 0.8, 1.0]).mean(), rel=1e-5)


def test_a_label_without_clips_does_not_count_in_averages_but_has_a_row() -> None:
    metrics = measure(PROBABILITIES, TARGETS, LABELS)
    assert metrics.per_class[2].clips == 0
    assert [row.precision for row in metrics.per_class] == pytest.approx([1.0, 2 / 3, 0.0])
    assert [row.recall for row in metrics.per_class] == pytest.approx([0.5, 1.0, 0.0])
    assert metrics.confusion == [[1, 1, 0], [0, 2, 0], [0, 0, 0]]
    assert metrics.confusion_normalised == [[0.5, 0.5, 0], [0, 1, 0], [0, 0, 0]]
    assert metrics.as_dict()["confusion_normalised"] == metrics.confusion_normalised


def test_top5_looks_at_five_labels() -> None:
    probabilities = np.tile(np.linspace(1, 0, 7), (2, 1)) / 3.5
    assert measure(probabilities, np.array([4, 5]), list("abcdefg")).top5_accuracy == 0.5


def test_top5_of_three_labels_is_one() -> None:
    assert measure(PROBABILITIES, TARGETS, LABELS).top5_accuracy == 1.0


def test_the_table_names_every_label() -> None:
    table = metrics_table(measure(PROBABILITIES, TARGETS, LABELS), LABELS)
    assert "accuracy 75.0%" in table
    assert all(f" {label}" in table for label in LABELS)
