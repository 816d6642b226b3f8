"""How sure a model is against how often it is right."""

import numpy as np
import pytest
from scipy.special import softmax

from training.calibration import at_temperature, fit_temperature, reliability

RANDOM = np.random.default_rng(0)


def honest(clips: int) -> tuple[np.ndarray, np.ndarray]:
    """Logits of four labels, and labels drawn from their softmax."""
    logits = RANDOM.normal(0, 2, (clips, 4))
    targets = np.array([RANDOM.choice(4, p=row) for row in softmax(logits, axis=1)])
    return logits, targets


def test_bins_and_error_by_hand() -> None:
    probabilities = np.array([[0.9, 0.1], [0.9, 0.1], [0.4, 0.6], [0.6, 0.4]])
    found = reliability(probabilities, np.array([0, 1, 1, 0]))
    assert found.clips == [2, 2]
    assert found.confidence == pytest.approx([0.6, 0.9])
    assert found.accuracy == pytest.approx([1.0, 0.5])
    assert found.error == pytest.approx(0.4)


def test_a_model_that_is_certain_and_right_has_no_error() -> None:
    assert reliability(np.eye(3), np.arange(3)).error == 0


@pytest.mark.parametrize("temperature", [0.5, 1.0, 3.0])
def test_the_temperature_that_was_put_in_is_found_and_mends_the_error(temperature: float) -> None:
    logits, targets = honest(4000)
    sure = softmax(logits * temperature, axis=1)
    found = fit_temperature(sure, targets)
    assert found == pytest.approx(temperature, rel=0.1)
    assert reliability(at_temperature(sure, found), targets).error < 0.03
    assert (at_temperature(sure, found).argmax(axis=1) == sure.argmax(axis=1)).all(), "labels stay what they are"


def test_dividing_logits_is_what_it_does() -> None:
    logits, _ = honest(5)
    np.testing.assert_allclose(at_temperature(softmax(logits, axis=1), 2.0), softmax(logits / 2, axis=1), atol=1e-9)


def test_few_clips_that_are_all_right_do_not_make_the_model_certain() -> None:
    probabilities = np.array([[0.6, 0.4], [0.3, 0.7]])
    assert fit_temperature(probabilities, np.array([0, 1])) == pytest.approx(0.5, abs=0.01)


def test_a_probability_of_nothing_does_not_break_it() -> None:
    probabilities = np.array([[1.0, 0.0], [0.0, 1.0], [1.0, 0.0]], np.float32)
    assert np.isfinite(fit_temperature(probabilities, np.array([0, 1, 1])))
