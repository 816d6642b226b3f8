"""How long a body may take: a grace, then a least speed, and never longer than the whole is given."""

import pytest

from app.api.dependencies import GRACE_SECONDS, UploadLimits

LIMITS = UploadLimits(max_bytes=10**9, timeout_seconds=60, min_bytes_per_second=1000)


@pytest.mark.parametrize(
    ("received_bytes", "seconds"),
    [(0, GRACE_SECONDS), (1000, GRACE_SECONDS), (4999, GRACE_SECONDS), (20_000, 20), (59_000, 59), (10**8, 60)],
)
def test_the_next_byte_is_due_when_the_average_falls_below_the_least(received_bytes: int, seconds: float) -> None:
    assert LIMITS.allowed_seconds(received_bytes) == seconds


def test_a_grace_ends_with_the_whole() -> None:
    assert UploadLimits(1, timeout_seconds=2, min_bytes_per_second=1000).allowed_seconds(0) == 2


def test_without_a_least_speed_only_the_whole_counts() -> None:
    assert UploadLimits(1, timeout_seconds=60, min_bytes_per_second=0).allowed_seconds(1) == 60
