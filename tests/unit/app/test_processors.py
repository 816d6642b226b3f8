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
    assert usable_processors(tmp_path, tmp_path / "nothing") == processors


def tree(root: Path, quotas: dict[str, str]) -> Path:
    """Groups of a mounted hierarchy, by their paths below it, and what each holds in ``cpu.max``."""
    for path, quota in quotas.items():
        (root / path).mkdir(parents=True, exist_ok=True)
        (root / path / "cpu.max").write_text(quota + "\n")
    return root


UNLIMITED = "max 100000"


@pytest.mark.parametrize(
    ("quotas", "membership", "processors"),
    [
        ({"a": UNLIMITED, "a/b": "300000 100000"}, "0::/a/b", 3),
        ({"a": "200000 100000", "a/b": "300000 100000"}, "0::/a/b", 2),
        ({"a": "200000 100000", "a/b": UNLIMITED, "a/b/c": "1200000 100000"}, "0::/a/b/c", 2),
        ({"a": "200000 100000", "x": "100000 100000"}, "4:cpu,cpuacct:/x\n0::/a", 2),
        ({"a": UNLIMITED, "a/b": UNLIMITED}, "0::/a/b", 16),
        ({".": "500000 100000"}, "0::/", 5),
        ({".": "500000 100000"}, "0::/docker/not-mounted-here", 5),
        ({".": "500000 100000", "a": "200000 100000"}, "0::/elsewhere/a", 5),
        ({".": "500000 100000", "a": "200000 100000"}, "0::/../a", 5),
        ({".": "500000 100000", "a": "200000 100000"}, "4:cpu:/a", 5),
    ],
)
def test_the_smallest_quota_of_the_own_group_and_those_above_counts(
    tmp_path: Path, quotas: dict[str, str], membership: str, processors: int
) -> None:
    (tmp_path / "membership").write_text(membership + "\n")
    assert usable_processors(tree(tmp_path / "cgroup", quotas), tmp_path / "membership") == processors


def test_a_process_whose_group_is_not_told_has_the_quota_of_the_root(tmp_path: Path) -> None:
    assert usable_processors(tree(tmp_path, {".": "500000 100000"}), tmp_path / "nothing") == 5


@pytest.mark.parametrize(("quota", "processors"), [("400000", 4), ("-1", 16)])
def test_a_quota_of_cgroup_1_counts(tmp_path: Path, quota: str, processors: int) -> None:
    (tmp_path / "cpu").mkdir()
    (tmp_path / "cpu" / "cpu.cfs_quota_us").write_text(quota)
    (tmp_path / "cpu" / "cpu.cfs_period_us").write_text("100000")
    assert usable_processors(tmp_path, tmp_path / "nothing") == processors


def test_without_a_quota_the_affinity_counts(tmp_path: Path) -> None:
    assert usable_processors(tmp_path, tmp_path / "nothing") == 16
