"""Servers that are restarted in turn behind a proxy: nobody notices. ``benchmarks.rolling_restarts`` does it twenty times."""

import asyncio
from pathlib import Path

from benchmarks.rolling_restarts import roll


def test_two_restarts_under_load_lose_no_request(tmp_path: Path) -> None:
    seen = asyncio.run(roll(tmp_path, restarts=2, clients=4, pause_seconds=0.05))
    assert seen.nothing_was_lost, seen
    assert seen.exit_codes == {0: 2}
    assert seen.statuses[200] > 20, "there was hardly any load"
