"""Whatever is sent to the server, it answers as its document says."""

from collections import Counter
from pathlib import Path

import pytest

from tests.contract.conformance import conformance, documented
from tests.contract.conftest import API_KEY
from tests.live_server import running_server

CASES = 50


@pytest.mark.parametrize("api_key", [None, API_KEY], ids=["open", "with-keys"])
def test_every_answer_is_one_that_the_document_names(repository: Path, tmp_path: Path, api_key: str | None) -> None:
    settings = {} if api_key is None else {"api_keys": api_key}
    with running_server(repository, tmp_path / "log.jsonl", **settings) as live:
        found = conformance(live, tmp_path, CASES, seed=1, api_key=api_key)
        operations = documented(live)
    assert not found.failures, found.output
    assert found.passed, found.output
    sent = {operation: found.answers.get(operation, Counter()).total() for operation in operations}
    assert min(sent.values()) >= CASES, sent
    assert found.answers["POST /classify"][200], found.output
