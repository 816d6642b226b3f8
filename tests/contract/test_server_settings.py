"""Every setting is documented, and the document names no other."""

import re
from pathlib import Path

import pytest

from app.settings import Settings, variable_name

DOCUMENT = Path(__file__).parents[2] / "docs" / "operations" / "settings.md"

PROMISED = {
    "HOST",
    "PORT",
    "MODEL_REPOSITORY",
    "DEFAULT_MODEL",
    "EXECUTION_PROVIDER",
    "MAX_BATCH_SIZE",
    "MAX_QUEUE_DELAY_MS",
    "MAX_QUEUE_SIZE",
    "MAX_UPLOAD_BYTES",
    "DECODE_WORKERS",
    "DECODE_TIMEOUT_SECONDS",
    "REQUEST_TIMEOUT_MS",
    "API_KEYS",
    "CORS_ORIGINS",
    "DRAIN_SECONDS",
}


def rows() -> dict[str, tuple[str, str]]:
    """Variable -> (default, meaning), from the table."""
    cells = re.findall(r"^\| `(\w+)` \| (.*?) \| (.*) \|$", DOCUMENT.read_text(), re.MULTILINE)
    return {name: (default, meaning) for name, default, meaning in cells}


def test_the_document_lists_exactly_the_settings_that_exist() -> None:
    assert set(rows()) == {variable_name(field) for field in Settings.model_fields}


def test_the_names_that_others_rely_on_exist() -> None:
    assert {f"CLIPSERVE_{name}" for name in PROMISED} <= set(rows())


@pytest.mark.parametrize("field", Settings.model_fields)
def test_default_and_meaning_are_those_of_the_code(field: str) -> None:
    info = Settings.model_fields[field]
    value = ",".join(info.default) if isinstance(info.default, tuple) else info.default
    default = "" if value in (None, "") else f"`{value}`"
    assert rows()[variable_name(field)] == (default, info.description)
