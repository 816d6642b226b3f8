"""CUDA as it really runs. Skipped where there is no GPU; CLIPSERVE_REQUIRE_GPU=1 makes that a failure."""

import os
from pathlib import Path

import numpy as np
import pytest

from app.inference.engine import load_engine
from app.inference.execution_plan import PlanRequest
from app.inference.repository import published_models
from tests.colour_model import LABELS, publish
from tests.live_server import running_server
from tests.videos import BLUE, GREEN, RED, solid_picture, solid_video

PLAN = PlanRequest(processors=1, max_batch_size=4)


@pytest.fixture(autouse=True)
def _gpu() -> None:
    if Path("/dev/nvidia0").exists():
        return
    reason = "no /dev/nvidia0; CLIPSERVE_REQUIRE_GPU=1 makes this a failure"
    pytest.fail(reason) if os.environ.get("CLIPSERVE_REQUIRE_GPU") == "1" else pytest.skip(reason)


def test_auto_takes_the_gpu_and_its_answers_are_right(tmp_path: Path) -> None:
    publish(tmp_path)
    engine = load_engine(published_models(tmp_path)[0], "auto", PLAN)
    assert (engine.provider, engine.fallback_reason) == ("cuda", None)
    clips = [np.stack([solid_picture(colour, 32, 32)] * 4) for colour in (BLUE, RED, GREEN)]
    assert [LABELS[i] for i in engine.sessions[0].run(clips).argmax(1)] == ["blue", "red", "green"]


def test_a_gpu_prefers_fp16(tmp_path: Path) -> None:
    publish(tmp_path, precisions=("fp32", "fp16", "int8"))
    assert load_engine(published_models(tmp_path)[0], "cuda", PLAN).variant.precision == "fp16"


def test_the_server_answers_from_the_gpu(tmp_path: Path) -> None:
    publish(tmp_path / "models")
    with running_server(tmp_path / "models", tmp_path / "log", execution_provider="cuda") as live:
        assert live.client.get("/models").json()["models"][0]["execution_provider"] == "cuda"
        assert live.classify(solid_video(RED)).json()["predictions"][0]["label"] == "red"
