"""Batches that fail: the clip that is to blame is found, and a device without memory gets smaller ones."""

import asyncio

import numpy as np
import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

from app.inference.batch_run import _RUNS_BEFORE_LARGER, BatchRun, OutOfDeviceMemory
from app.inference.calibration import calibrate
from app.inference.execution_plan import PlanRequest
from app.inference.session import Session, SessionOptions
from tests.colour_model import LABELS, SPEC, colour_graph
from tests.unit.app.inference.echo_model import EchoModel, clip, number_of


def rows_of(runs: BatchRun, count: int) -> list[float]:
    return [number_of(row) for row in asyncio.run(runs.rows([clip(n) for n in range(count)]))]


def test_the_clip_that_is_to_blame_fails_alone() -> None:
    model = EchoModel(poison={5})
    answered = rows_of(BatchRun("echo/1", 2, model, 8), 8)
    assert answered == pytest.approx([0, 1, 2, 3, 4, float("nan"), 6, 7], nan_ok=True)
    assert model.batches == [[*range(8)], [0, 1, 2, 3], [4, 5, 6, 7], [4, 5], [4], [5], [6, 7]]


@given(st.integers(1, 16), st.sets(st.integers(0, 15)), st.integers(1, 20))
def test_whoever_is_to_blame_all_others_are_answered(count: int, poison: set[int], memory: int) -> None:
    model = EchoModel(poison, memory)
    answered = rows_of(BatchRun("echo/1", 2, model, 16), count)
    assert answered == pytest.approx([float("nan") if n in poison else n for n in range(count)], nan_ok=True)
    assert len(model.batches) < 2 * count


def test_a_device_without_memory_gets_half_from_then_on_and_more_once_that_goes_well() -> None:
    model = EchoModel(memory=4)
    runs = BatchRun("echo/1", 2, model, 16)
    assert rows_of(runs, 16) == list(range(16))
    assert runs.max_batch_size == 4
    model.memory = 1000
    for _ in range(2 * _RUNS_BEFORE_LARGER):
        rows_of(runs, runs.max_batch_size)
    assert runs.max_batch_size == 16


def test_small_batches_prove_nothing_about_larger_ones() -> None:
    model = EchoModel(memory=4)
    runs = BatchRun("echo/1", 2, model, 16)
    rows_of(runs, 16)
    for _ in range(2 * _RUNS_BEFORE_LARGER):
        rows_of(runs, 1)
    assert runs.max_batch_size == 4


def test_one_clip_too_many_for_the_device_fails() -> None:
    runs = BatchRun("echo/1", 2, EchoModel(memory=0), 8)
    assert np.isnan(rows_of(runs, 2)).all()
    assert runs.max_batch_size == 1


def greedy_graph(most_clips: int) -> onnx.ModelProto:
    """The colour model, which takes 2^45 numbers more of memory for each clip beyond ``most_clips``."""
    model = colour_graph()
    graph = model.graph
    probabilities = graph.node.pop()
    constants = {"free": [most_clips], "none": [0], "terabytes": [1 << 45]}
    graph.initializer.extend(numpy_helper.from_array(np.array(v, np.int64), name) for name, v in constants.items())
    graph.node.extend(
        [
            helper.make_node("Shape", ["clips"], ["batch"], start=0, end=1),
            helper.make_node("Sub", ["batch", "free"], ["beyond"]),
            helper.make_node("Max", ["beyond", "none"], ["greedy_clips"]),
            helper.make_node("Mul", ["greedy_clips", "terabytes"], ["greed"]),
            helper.make_node(
                "ConstantOfShape", ["greed"], ["zeros"], value=helper.make_tensor("zero", TensorProto.FLOAT, [1], [0.0])
            ),
            helper.make_node("ReduceSum", ["zeros"], ["zero"], keepdims=0),
            helper.make_node("Add", ["logits", "zero"], ["greedy_logits"]),
            helper.make_node("Softmax", ["greedy_logits"], list(probabilities.output), axis=-1),
        ]
    )
    return model


def session(most_clips: int, max_batch_size: int) -> Session:
    options = SessionOptions(intra_op_threads=1, max_batch_size=max_batch_size)
    return Session(greedy_graph(most_clips).SerializeToString(), SPEC.shape, len(LABELS), "cpu", options)


def test_a_session_that_lacks_memory_says_so() -> None:
    greedy = session(most_clips=2, max_batch_size=1)
    clips = [np.zeros(SPEC.shape, np.uint8)] * 3
    assert greedy.run(clips[:2]).shape == (2, len(LABELS))
    with pytest.raises(OutOfDeviceMemory, match="alloc"):
        greedy.run(clips)


def test_a_batch_for_which_there_is_no_memory_is_not_chosen() -> None:
    """The greedy graph has room for two clips, whoever asks for more."""
    found = calibrate(lambda _, size: session(2, size), SPEC.shape, "cpu", PlanRequest(processors=1, max_batch_size=8))
    assert found.plan.max_batch_size <= 2


def test_a_model_without_room_for_one_clip_says_so() -> None:
    with pytest.raises(OutOfDeviceMemory, match="alloc"):
        calibrate(lambda _, size: session(0, size), SPEC.shape, "cpu", PlanRequest(processors=1))
