"""ONNX sessions: only a graph that keeps the contract is served, and only on a provider that runs it."""

import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest

from app.inference.engine import load_engine
from app.inference.execution_plan import PlanRequest
from app.inference.repository import published_models
from app.inference.session import ProviderUnavailable, Session, SessionOptions
from clips.errors import CommandError
from tests.colour_model import LABELS, SPEC, colour_graph, publish
from tests.videos import BLUE, GREEN, RED, solid_picture

OPTIONS = SessionOptions(intra_op_threads=1, max_batch_size=4)
PLAN = PlanRequest(processors=1, max_batch_size=4)
MAKE_SESSION = onnxruntime.InferenceSession


@pytest.mark.parametrize("module", ["app.inference.session", "training.onnx_runtime"])
def test_onnxruntime_keeps_what_it_sees_to_itself(tmp_path: Path, module: str) -> None:
    """Its telemetry would leave the file of a session in the temporary folder."""
    subprocess.run([sys.executable, "-c", f"import {module}"], check=True, env=os.environ | {"TMPDIR": str(tmp_path)})
    assert not list(tmp_path.iterdir())


def session(model: onnx.ModelProto) -> Session:
    return Session(model.SerializeToString(), SPEC.shape, len(LABELS), "cpu", OPTIONS)


def test_a_batch_gives_one_row_for_each_clip_in_order() -> None:
    clips = [np.stack([solid_picture(colour, 32, 32)] * 4) for colour in (BLUE, RED, GREEN)]
    probabilities = session(colour_graph()).run(clips)
    assert probabilities.dtype == np.float32
    assert [LABELS[i] for i in probabilities.argmax(1)] == ["blue", "red", "green"]
    assert np.allclose(probabilities.sum(1), 1)


def test_a_graph_for_another_clip_is_refused() -> None:
    with pytest.raises(CommandError, match="expected one uint8 input `clips` of \\(batch, 4, 32, 32, 3\\)"):
        session(colour_graph(SPEC.model_copy(update={"height": 64})))


def test_a_graph_with_a_fixed_batch_is_refused() -> None:
    model = colour_graph()
    model.graph.input[0].type.tensor_type.shape.dim[0].dim_value = 1
    with pytest.raises(CommandError, match="expected one uint8 input"):
        session(model)


def test_a_graph_with_another_number_of_labels_is_refused() -> None:
    with pytest.raises(CommandError, match="expected one float32 output `probabilities` of \\(batch, 5\\)"):
        Session(colour_graph().SerializeToString(), SPEC.shape, 5, "cpu", OPTIONS)


def test_bytes_that_are_no_graph_are_refused_in_one_line() -> None:
    with pytest.raises(ProviderUnavailable) as refusal:
        Session(b"not a model", SPEC.shape, 3, "cpu", OPTIONS)
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize("provider", ["cuda", "tensorrt"])
def test_a_named_provider_that_cannot_run_is_refused_never_replaced(
    tmp_path: Path, provider: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.inference.session._NVIDIA_DEVICES", ())
    publish(tmp_path)
    with pytest.raises(CommandError, match=f"cannot run on the execution provider '{provider}': {provider}: there is no"):
        load_engine(published_models(tmp_path)[0], provider, PLAN)  # type: ignore[arg-type]


def test_auto_falls_back_to_the_cpu_and_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.inference.session._NVIDIA_DEVICES", ())
    publish(tmp_path, precisions=("fp32", "int8"))
    engine = load_engine(published_models(tmp_path)[0], "auto", PLAN)
    assert (engine.provider, engine.variant.precision) == ("cpu", "int8")
    assert engine.fallback_reason == "cuda: there is no NVIDIA GPU here"


class FailingOnCuda:
    """In the place of ``onnxruntime.InferenceSession``: on CUDA it fails as it does there, when made or when first run."""

    def __init__(self, when: str, text: str) -> None:
        self._when, self.text = when, text

    def __call__(self, *arguments: Any, **options: Any) -> Any:
        if options["providers"][0][0] == "CPUExecutionProvider":
            return MAKE_SESSION(*arguments, **options)
        return self.fail() if self._when == "opened" else self

    def get_inputs(self) -> list[Any]:
        return [SimpleNamespace(name="clips", type="tensor(uint8)", shape=["batch", *SPEC.shape])]

    def get_outputs(self) -> list[Any]:
        return [SimpleNamespace(name="probabilities", type="tensor(float)", shape=["batch", len(LABELS)])]

    def get_providers(self) -> list[str]:
        return ["CUDAExecutionProvider"]

    def create_ortvalue_from_shape_and_type(self, *_: object) -> Any:
        return self.fail()

    def fail(self) -> Any:
        raise RuntimeError(self.text)


CUDA_FAILURE = "CUDA failure 35: driver is old ; hostname=secret-host ; file=/secret/cuda_call.cc ; line=182\nmore of it"
OUT_OF_MEMORY = "/secret/bfc_arena.cc:376 Failed to allocate memory for requested buffer of size 3"


@pytest.mark.parametrize(
    ("failing", "told"),
    [
        (FailingOnCuda("opened", CUDA_FAILURE), "cuda: the model cannot be opened"),
        (FailingOnCuda("run", CUDA_FAILURE), "cuda: the model failed its proof run"),
        (FailingOnCuda("run", OUT_OF_MEMORY), "cuda: out of GPU memory"),
    ],
)
def test_what_onnxruntime_says_is_for_the_log_and_clients_are_told_the_kind_of_failure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, failing: FailingOnCuda, told: str
) -> None:
    monkeypatch.setattr("app.inference.session._check_present", lambda _: None)
    monkeypatch.setattr("app.inference.session.ort.InferenceSession", failing)
    publish(tmp_path)
    with caplog.at_level("INFO", "clipserve"):
        engine = load_engine(published_models(tmp_path)[0], "auto", PLAN)
    assert (engine.provider, engine.fallback_reason) == ("cpu", told)
    fields = {record.message: vars(record)["fields"] for record in caplog.records if hasattr(record, "fields")}
    assert fields["provider_failed"]["problem"] == failing.text
    assert failing.text.splitlines()[0] in fields["provider_fallback"]["reason"]
    engine.close()


def test_a_driver_file_alone_does_not_make_a_gpu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """onnxruntime lists CUDA here and falls back in silence: only the session's own word and a run count."""
    monkeypatch.setattr("app.inference.session._NVIDIA_DEVICES", (tmp_path,))
    if Path("/dev/nvidia0").exists():
        pytest.skip("there is a GPU: tests/gpu looks at it")
    publish(tmp_path)
    with pytest.raises(CommandError, match="cannot run on the execution provider 'cuda': cuda: "):
        load_engine(published_models(tmp_path)[0], "cuda", PLAN)
