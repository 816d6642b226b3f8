"""CUDA as it really runs. Skipped where there is no GPU; CLIPSERVE_REQUIRE_GPU=1 makes that a failure."""

import asyncio
import os
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from time import monotonic

import numpy as np
import onnx
import pytest

from app.inference.batcher import Batcher, BatchPolicy
from app.inference.engine import Engine, load_engine
from app.inference.execution_plan import PlanRequest
from app.inference.model_refused import ModelRefused
from app.inference.provider_options import CudaGraphs, GpuOptions
from app.inference.repository import published_models
from app.inference.session import Session
from app.observability import logs
from clips.errors import CommandError
from tests.colour_model import LABELS, SPEC, colour_graph, publish
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


def all_sizes(engine: Engine, largest: int) -> None:
    """Every batch size, filled up to its bucket, gives what single clips give."""
    clips = list(np.random.default_rng(0).integers(0, 256, (largest, *SPEC.shape), np.uint8))
    for session in engine.sessions:
        alone = np.concatenate([session.run([clip]) for clip in clips])
        for size in range(1, largest + 1):
            assert np.abs(session.run(clips[:size]) - alone[:size]).max() <= 1e-3


@pytest.mark.parametrize("cuda_graphs", ["on", "off"])
def test_every_batch_size_gives_the_same_rows(tmp_path: Path, cuda_graphs: CudaGraphs) -> None:
    publish(tmp_path)
    plan = PlanRequest(processors=1, max_batch_size=9, gpu=GpuOptions(cuda_graphs=cuda_graphs))
    engine = load_engine(published_models(tmp_path)[0], "cuda", plan)
    all_sizes(engine, 9)
    engine.close()


def test_host_memory_is_pinned(tmp_path: Path) -> None:
    publish(tmp_path)
    engine = load_engine(published_models(tmp_path)[0], "cuda", PlanRequest(1, lanes=3, max_batch_size=4))
    assert [session.pinning_problem for session in engine.sessions] == [None, None, None]
    engine.close()


def test_a_model_that_cannot_be_recorded_runs_without_graphs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    logs.set_up("info")
    publish(tmp_path, graph=with_a_branch())
    engine = load_engine(published_models(tmp_path)[0], "cuda", PLAN)
    assert "no_cuda_graphs" in capsys.readouterr().err
    all_sizes(engine, 4)
    with pytest.raises(ModelRefused):
        load_engine(published_models(tmp_path)[0], "cuda", replace(PLAN, gpu=GpuOptions(cuda_graphs="on")))


def with_a_branch() -> onnx.ModelProto:
    """The colours, computed in both branches of an If whose condition depends on the input."""
    model = colour_graph()
    first, *rest = model.graph.node
    condition = [
        onnx.helper.make_node("ReduceMax", ["pixels"], ["brightest"], keepdims=0),
        onnx.helper.make_node("Constant", [], ["dark"], value_float=-1.0),
        onnx.helper.make_node("Greater", ["brightest", "dark"], ["is_bright"]),
    ]
    output = onnx.helper.make_tensor_value_info("probabilities", onnx.TensorProto.FLOAT, ["batch", len(LABELS)])
    branches = []
    for name in ("then", "else"):
        nodes = [onnx.NodeProto.FromString(node.SerializeToString()) for node in rest]
        for node in nodes:  # names within a branch are its own
            node.output[:] = [f"{name}_{value}" for value in node.output]
            node.input[:] = [value if value in {"pixels", "axes", "sharpness"} else f"{name}_{value}" for value in node.input]
        result = onnx.helper.make_tensor_value_info(f"{name}_probabilities", onnx.TensorProto.FLOAT, ["batch", len(LABELS)])
        branches.append(onnx.helper.make_graph(nodes, name, [], [result]))
    choice = onnx.helper.make_node("If", ["is_bright"], ["probabilities"], then_branch=branches[0], else_branch=branches[1])
    graph = onnx.helper.make_graph(
        [first, *condition, choice], "branching", list(model.graph.input), [output], list(model.graph.initializer)
    )
    made = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 18)], ir_version=9)
    onnx.checker.check_model(made)
    return made


def test_models_are_loaded_and_unloaded_while_another_answers(tmp_path: Path) -> None:
    """Recording a graph bears no other call to the device: they wait for each other."""
    publish(tmp_path)
    engine = load_engine(published_models(tmp_path)[0], "cuda", PlanRequest(1, lanes=2, max_batch_size=4))
    clips = list(np.random.default_rng(0).integers(0, 256, (4, *SPEC.shape), np.uint8))
    expected, ended = engine.sessions[0].run(clips), threading.Event()

    def answer(session: Session) -> int:
        runs = 0
        while not ended.is_set():
            assert np.abs(session.run(clips[: 1 + runs % 4]) - expected[: 1 + runs % 4]).max() <= 1e-3
            runs += 1
        return runs

    with ThreadPoolExecutor(2) as threads:
        runs = [threads.submit(answer, session) for session in engine.sessions]
        try:
            for _ in range(10):
                load_engine(published_models(tmp_path)[0], "cuda", PLAN).close()
        finally:
            ended.set()
        assert all(run.result() > 10 for run in runs)


def test_lanes_have_sessions_of_their_own_and_keep_answers_apart(tmp_path: Path) -> None:
    publish(tmp_path)
    engine = load_engine(published_models(tmp_path)[0], "cuda", PlanRequest(1, lanes=2, max_batch_size=8))
    assert len(engine.sessions) == 2
    clips = list(np.random.default_rng(0).integers(0, 256, (500, *SPEC.shape), np.uint8))
    expected = np.concatenate([engine.sessions[0].run([clip]) for clip in clips])

    async def test() -> None:
        policy = BatchPolicy(max_batch_size=8, max_queue_size=500, lanes=2)
        queue = Batcher("colours/1", SPEC.shape, len(LABELS), engine.run, policy)
        outcomes = await asyncio.gather(*(queue.infer(clip, monotonic() + 60) for clip in clips))
        assert np.abs(np.stack(outcomes) - expected).max() <= 1e-3
        await queue.close()

    asyncio.run(test())


def test_a_session_takes_no_more_memory_than_allowed(tmp_path: Path) -> None:
    """16 MiB hold the model and few clips: batches are made smaller until they fit; nothing crashes."""
    publish(tmp_path, work=10)
    plan = PlanRequest(processors=1, gpu=GpuOptions(memory_bytes=16 * 2**20))
    engine = load_engine(published_models(tmp_path)[0], "cuda", plan)
    assert engine.plan.max_batch_size >= 1


def test_tensorrt_runs_or_says_what_is_missing(tmp_path: Path) -> None:
    publish(tmp_path / "models")
    cache = tmp_path / "cache"
    cache.mkdir()
    plan = PlanRequest(processors=1, max_batch_size=4, gpu=GpuOptions(cache_folder=str(cache)))
    try:
        engine = load_engine(published_models(tmp_path / "models")[0], "tensorrt", plan)
    except CommandError as refusal:
        pytest.skip(str(refusal))
    assert engine.provider == "tensorrt"
    assert list(cache.glob("*.engine"))
    all_sizes(engine, 4)


def test_the_server_answers_from_the_gpu(tmp_path: Path) -> None:
    publish(tmp_path / "models")
    with running_server(tmp_path / "models", tmp_path / "log", execution_provider="cuda") as live:
        assert live.client.get("/models").json()["models"][0]["execution_provider"] == "cuda"
        assert live.classify(solid_video(RED)).json()["predictions"][0]["label"] == "red"
