"""Metrics, traces and reference name the version that is packaged."""

import tomllib
from pathlib import Path

from app import __version__


def test_the_server_and_its_package_have_one_version() -> None:
    project = tomllib.loads((Path(__file__).parents[3] / "pyproject.toml").read_text())
    assert project["project"]["version"] == __version__
