"""How many processors a container may use."""

from pathlib import Path

import pytest

from app.processors import usable_processors


@pytest.fixture(autouse=True)
def _sixteen_processors(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.sched_getaffinity", lambda _: set(range(16)), raising=False)


@pytest.mark.parametrize(
    ("quota", "processors"), [("200000 100000", 2), ("150000 100000", 2), ("1000 100000", 1), ("max 100000", 16)]
)
def test_a_quota_of_cgroup_2_counts(tmp_path: Path, quota: str, processors: int) -> None:
    (tmp_path / "cpu.max").write_text(quota + "\n")
    assert usable_processors(tmp_path) == processors


@pytest.mark.parametrize(("quota", "processors"), [("400000", 4), ("-1", 16)])
def test_a_quota_of_cgroup_1_counts(tmp_path: Path, quota: str, processors: int) -> None:
    (tmp_path / "cpu").mkdir()
    (tmp_path / "cpu" / "cpu.cfs_quota_us").write_text(quota)
    (tmp_path / "cpu" / "cpu.cfs_period_us").write_text("100000")
    assert usable_processors(tmp_path) == processors


def test_without_a_quota_the_affinity_counts(tmp_path: Path) -> None:
    assert usable_processors(tmp_path) == 16
