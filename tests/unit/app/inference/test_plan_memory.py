"""A plan is found again for the same model and request, and nothing that lies in its place can do harm."""

import json
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from app.inference.calibration import prepare
from app.inference.engine import load_engine
from app.inference.execution_plan import ExecutionPlan, PlanRequest
from app.inference.plan_memory import PlanMemory
from app.inference.repository import published_models
from tests.colour_model import publish
from tests.unit.app.inference.test_calibration import open_session

MODEL, ASKED = "ab" * 32, PlanRequest(processors=4)
PLAN = ExecutionPlan(lanes=4, intra_op_threads=1, max_batch_size=2, lone_threads=4, clips_per_second=30.5)


def kept(folder: Path) -> Path:
    """The file of a plan that was kept."""
    PlanMemory(folder).keep(MODEL, ASKED, PLAN)
    (file,) = (folder / "plans").iterdir()
    return file


def test_a_plan_is_found_again(tmp_path: Path) -> None:
    kept(tmp_path / "not" / "there")
    assert PlanMemory(tmp_path / "not" / "there").find(MODEL, ASKED) == PLAN


@pytest.mark.parametrize("asked", [replace(ASKED, processors=2), replace(ASKED, lanes=1), replace(ASKED, max_batch_size=4)])
def test_another_request_is_measured_anew(tmp_path: Path, asked: PlanRequest) -> None:
    kept(tmp_path)
    assert PlanMemory(tmp_path).find(MODEL, asked) is None


def test_another_model_is_measured_anew(tmp_path: Path) -> None:
    kept(tmp_path)
    assert PlanMemory(tmp_path).find("cd" * 32, ASKED) is None


TOO_MANY = json.dumps({**asdict(PLAN), "lanes": 99_999})
TEXT = json.dumps({**asdict(PLAN), "lanes": "4"})


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"lanes": 1}', b"\xff\xfe", TOO_MANY.encode(), TEXT.encode()])
def test_a_file_that_is_no_plan_is_measured_anew(tmp_path: Path, content: bytes) -> None:
    kept(tmp_path).write_bytes(content)
    assert PlanMemory(tmp_path).find(MODEL, ASKED) is None


def test_a_folder_that_cannot_be_written_stops_nobody(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    PlanMemory(tmp_path / "file").keep(MODEL, ASKED, PLAN)
    assert PlanMemory(tmp_path / "file").find(MODEL, ASKED) is None


def test_without_a_folder_nothing_is_remembered() -> None:
    PlanMemory(None).keep(MODEL, ASKED, PLAN)
    assert PlanMemory(None).find(MODEL, ASKED) is None


def test_what_a_plan_asks_for_is_prepared() -> None:
    found = prepare(open_session, PLAN)
    assert found.lone
    assert [session.options.intra_op_threads for session in (*found.sessions, found.lone)] == [1, 4]


def test_an_engine_takes_the_plan_of_an_earlier_start(tmp_path: Path) -> None:
    publish(tmp_path / "models")
    model = published_models(tmp_path / "models")[0]
    asked = replace(ASKED, cache_folder=tmp_path / "cache")
    PlanMemory(asked.cache_folder).keep(model.manifest.variants[0].sha256, asked, PLAN)
    engine = load_engine(model, "cpu", asked)
    assert engine.plan == PLAN
    engine.close()
