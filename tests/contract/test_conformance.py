"""Whatever is sent to the server, it answers as its document says."""

from pathlib import Path

import pytest

from tests.contract.conformance import conformance
from tests.contract.conftest import API_KEY
from tests.live_server import running_server

CASES = 50


@pytest.mark.parametrize("api_key", [None, API_KEY], ids=["open", "with-keys"])
def test_every_answer_is_one_that_the_document_names(repository: Path, tmp_path: Path, api_key: str | None) -> None:
    settings = {} if api_key is None else {"api_keys": api_key}
    with running_server(repository, tmp_path / "log.jsonl", **settings) as live:
        found = conformance(live, tmp_path, CASES, seed=1, api_key=api_key)
        routes = live.client.get("/openapi.json").json()["paths"]
    assert not found.failures, found.output
    assert "No issues found" in found.output, found.output
    sent = {f"{method.upper()} {path}": 0 for path, methods in routes.items() for method in methods}
    sent |= {operation: found.answers[operation].total() for operation in sent if operation in found.answers}
    assert min(sent.values()) >= CASES, sent
    assert found.answers["POST /classify"][200], found.output
