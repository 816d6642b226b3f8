"""Whatever is sent to the server, it answers as its document says."""

from collections import Counter
from pathlib import Path

import pytest

from tests.contract.conformance import conformance, documented, served
from tests.contract.conftest import API_KEY

CASES = 20


@pytest.mark.parametrize("api_key", [None, API_KEY], ids=["open", "with-keys"])
def test_every_answer_is_one_that_the_document_names(tmp_path: Path, api_key: str | None) -> None:
    with served(tmp_path, api_key) as live:
        found = conformance(live, tmp_path, CASES, seed=1, api_key=api_key)
        operations = documented(live)
        assert live.client.get("/readyz").status_code == 200
    assert not found.failures, found.output
    assert found.passed, found.output
    answers = {operation: found.answers.get(operation, Counter()) for operation in operations}
    assert min(counts.total() for counts in answers.values()) >= CASES, answers
    never_good = {operation for operation, counts in answers.items() if not counts[200]}
    managed = {f"POST /models/{{name}}/{change}" for change in ("load", "unload", "default")}
    assert never_good == (managed if api_key is None else set()), answers
