"""The line through measurements of a soak, and how sure it is of itself."""

import numpy as np
import pytest

from benchmarks.soaking.slope import fitted

SECONDS = np.arange(0, 1800, 10.0)


def test_a_straight_line_is_found_exactly() -> None:
    line = fitted(SECONDS, 100 + 3 * SECONDS / 3600)
    assert (line.per_hour, line.start, line.standard_error) == pytest.approx((3, 100, 0), abs=1e-9)
    assert line.at(7200) == pytest.approx(106)


def test_what_stays_has_no_slope() -> None:
    line = fitted(SECONDS, np.full(len(SECONDS), 5.0))
    assert (line.per_hour, line.standard_error) == pytest.approx((0, 0), abs=1e-9)


def test_the_error_is_that_of_many_repetitions() -> None:
    random = np.random.default_rng(0)
    lines = [fitted(SECONDS, random.normal(0, 2, len(SECONDS))) for _ in range(400)]
    assert np.std([line.per_hour for line in lines]) == pytest.approx(
        np.mean([line.standard_error for line in lines]), rel=0.15
    )


def test_the_error_knows_that_neighbours_resemble_each_other() -> None:
    """A walk that comes back by half at each step: as a row of independent values its error would be too small by 1.7."""
    random = np.random.default_rng(0)

    def walk() -> list[float]:
        values = [0.0]
        for step in random.normal(0, 1, len(SECONDS) - 1):
            values.append(0.5 * values[-1] + step)
        return values

    lines = [fitted(SECONDS, walk()) for _ in range(400)]
    assert np.std([line.per_hour for line in lines]) == pytest.approx(np.mean([line.standard_error for line in lines]), rel=0.2)


def test_two_values_tell_nothing() -> None:
    with pytest.raises(ValueError, match="three values"):
        fitted([0, 1], [0, 1])
