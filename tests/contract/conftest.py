"""A server that asks for keys, for the tests of its contract."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.live_server import LiveServer, running_server

API_KEY = "a-key-for-tests"


@pytest.fixture(scope="session")
def keyed_server(repository: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    """Asks for ``API_KEY``; its client sends it."""
    with running_server(repository, tmp_path_factory.mktemp("keyed") / "log.jsonl", api_keys=API_KEY) as live:
        live.client.headers["X-API-Key"] = API_KEY
        yield live
