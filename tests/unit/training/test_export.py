"""torch and ONNX give the same probabilities."""

from pathlib import Path

import numpy as np
import onnx
import pytest
import torch

from clips import ClipSpec
from clips.errors import CommandError
from training.architecture import Architecture
from training.export import export_fp32
from training.model import VideoClassifier
from training.onnx_runtime import OnnxClassifier, halve, quantise

SPEC = ClipSpec(num_frames=2, height=64, width=64)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("onnx")


@pytest.fixture(scope="module")
def model() -> VideoClassifier:
    torch.manual_seed(0)
    return VideoClassifier(4).eval()


@pytest.fixture(scope="module")
def fp32(folder: Path, model: VideoClassifier) -> Path:
    export_fp32(model, SPEC, folder / "model.onnx")
    return folder / "model.onnx"


def clips(batch: int, spec: ClipSpec = SPEC) -> np.ndarray:
    return np.random.default_rng(batch).integers(0, 256, (batch, *spec.shape), np.uint8)


def test_the_graph_is_the_one_of_the_contract(fp32: Path) -> None:
    graph = onnx.load(fp32).graph
    (given,), (result,) = graph.input, graph.output
    dims = [d.dim_param or d.dim_value for d in given.type.tensor_type.shape.dim]
    assert (given.name, given.type.tensor_type.elem_type, dims[1:]) == ("clips", onnx.TensorProto.UINT8, [2, 64, 64, 3])
    assert (result.name, result.type.tensor_type.elem_type) == ("probabilities", onnx.TensorProto.FLOAT)
    assert isinstance(dims[0], str)
    assert [file.name for file in fp32.parent.glob("*.data")] == []


@pytest.mark.parametrize("batch", [1, 3])
def test_onnx_answers_like_torch_for_any_batch(fp32: Path, model: VideoClassifier, batch: int) -> None:
    with torch.no_grad():
        expected = model(torch.from_numpy(clips(batch))).softmax(dim=1).numpy()
    probabilities = OnnxClassifier(fp32)(clips(batch))
    assert probabilities.sum(axis=1) == pytest.approx(1, abs=1e-5)
    assert np.abs(probabilities - expected).max() < 1e-4


def test_int8_is_a_quarter_of_the_size_and_answers_nearly_alike(fp32: Path, folder: Path) -> None:
    quantise(fp32, folder / "model.int8.onnx", clips(4))
    file = folder / "model.int8.onnx"
    assert file.stat().st_size < 0.3 * fp32.stat().st_size
    assert np.abs(OnnxClassifier(file)(clips(3)) - OnnxClassifier(fp32)(clips(3))).max() < 0.1


def test_int8_weights_keep_seven_bits(folder: Path) -> None:
    weights = [
        onnx.numpy_helper.to_array(tensor)
        for tensor in onnx.load(folder / "model.int8.onnx").graph.initializer
        if tensor.data_type == onnx.TensorProto.INT8 and len(tensor.dims) == 4
    ]
    assert len(weights) == 53
    assert max(np.abs(weight.astype(int)).max() for weight in weights) <= 64


def test_fp16_is_half_of_the_size_keeps_the_contract_and_answers_nearly_alike(fp32: Path, folder: Path) -> None:
    halve(fp32, folder / "model.fp16.onnx")
    file = folder / "model.fp16.onnx"
    assert file.stat().st_size < 0.52 * fp32.stat().st_size
    graph = onnx.load(file).graph
    assert graph.input[0].type.tensor_type.elem_type == onnx.TensorProto.UINT8
    assert graph.output[0].type.tensor_type.elem_type == onnx.TensorProto.FLOAT
    assert np.abs(OnnxClassifier(file)(clips(3)) - OnnxClassifier(fp32)(clips(3))).max() < 0.01


def test_fp16_files_compute_pixels_and_probabilities_in_fp32(folder: Path) -> None:
    graph = onnx.load(folder / "model.fp16.onnx").graph
    assert [node.attribute[0].i for node in graph.node if node.op_type == "Cast"].count(onnx.TensorProto.FLOAT16) == 1
    made_by = {name: node.op_type for node in graph.node for name in node.output}
    assert made_by["probabilities"] == "Softmax"
    (head,) = [node for node in graph.node if node.op_type == "Gemm"]
    assert made_by[head.input[0]] == "ReduceMean"
    assert made_by[next(node.input[0] for node in graph.node if node.output[0] == head.input[0])] == "Reshape"


HEADS: list[dict[str, object]] = [
    {"temporal": "average"},
    {"temporal": "attention"},
    {"temporal": "shift"},
    {"temporal": "lstm"},
    {"temporal": "lstm", "bidirectional": True, "layers": 2},
    {"temporal": "transformer", "layers": 2},
]
SHAPES = [(2, 64), (5, 48)]


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("head", HEADS, ids=str)
def test_every_temporal_model_exports_in_every_shape_and_precision_for_any_batch(
    head: dict[str, object], shape: tuple[int, int], folder: Path
) -> None:
    torch.manual_seed(1)
    spec = ClipSpec(num_frames=shape[0], height=shape[1], width=shape[1])
    architecture = Architecture.model_validate({"backbone": "resnet18", "width": 64, **head})
    model, file = VideoClassifier(4, architecture=architecture).eval(), folder / "head.onnx"
    with torch.no_grad():
        model.head.weight *= 40  # else all clips would have about the same probabilities
    export_fp32(model, spec, file)
    quantise(file, folder / "head.int8.onnx", clips(4, spec))
    quantise(file, folder / "head.tensorrt.onnx", clips(4, spec), "s8s8")
    halve(file, folder / "head.fp16.onnx")
    limits = {"head.onnx": 1e-4, "head.fp16.onnx": 0.01, "head.int8.onnx": 0.15, "head.tensorrt.onnx": 0.15}
    for batch in (1, 2, 5):
        with torch.no_grad():
            expected = model(torch.from_numpy(clips(batch, spec))).softmax(dim=1).numpy()
        assert expected.max() - expected.min() > 0.3
        for name, tolerance in limits.items():
            assert np.abs(OnnxClassifier(folder / name)(clips(batch, spec)) - expected).max() < tolerance, name


@pytest.fixture(scope="module")
def for_tensorrt(fp32: Path, folder: Path) -> onnx.ModelProto:
    quantise(fp32, folder / "model.tensorrt.onnx", clips(4), "s8s8")
    return onnx.load(folder / "model.tensorrt.onnx")


def test_int8_for_tensorrt_answers_nearly_alike_and_is_a_quarter_of_the_size(
    for_tensorrt: onnx.ModelProto, fp32: Path, folder: Path
) -> None:
    file = folder / "model.tensorrt.onnx"
    assert file.stat().st_size < 0.3 * fp32.stat().st_size
    assert np.abs(OnnxClassifier(file)(clips(3)) - OnnxClassifier(fp32)(clips(3))).max() < 0.1


def test_int8_for_tensorrt_has_signed_bytes_and_zero_points_of_zero_throughout(for_tensorrt: onnx.ModelProto) -> None:
    values = {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in for_tensorrt.graph.initializer}
    coded = [node for node in for_tensorrt.graph.node if node.op_type in {"QuantizeLinear", "DequantizeLinear"}]
    zero_points = [values[node.input[2]] for node in coded]
    assert len(zero_points) > 100
    assert {zero_point.dtype for zero_point in zero_points} == {np.dtype(np.int8)}, "int32 would be a quantised bias"
    assert all((zero_point == 0).all() for zero_point in zero_points)


def test_int8_for_tensorrt_has_full_weights_with_a_scale_for_each_channel(for_tensorrt: onnx.ModelProto) -> None:
    values = {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in for_tensorrt.graph.initializer}
    weights = [node.input for node in for_tensorrt.graph.node if node.op_type == "DequantizeLinear" and node.input[0] in values]
    assert len(weights) == 53
    assert all(values[scale].shape == values[weight].shape[:1] for weight, scale, _ in weights)
    assert max(np.abs(values[weight].astype(int)).max() for weight, *_ in weights) == 127


def test_int8_for_tensorrt_quantises_what_convolutions_read_and_not_what_they_write(for_tensorrt: onnx.ModelProto) -> None:
    made_by = {name: node.op_type for node in for_tensorrt.graph.node for name in node.output}
    nodes = for_tensorrt.graph.node
    assert all(made_by[name] == "DequantizeLinear" for node in nodes if node.op_type == "Conv" for name in node.input[:2])
    assert "Conv" not in {made_by.get(node.input[0]) for node in nodes if node.op_type == "QuantizeLinear"}
    (head,) = [node for node in nodes if node.op_type == "Gemm"]
    assert made_by[head.input[0]] == "ReduceMean"
    assert head.input[1] not in made_by, "the head's weights are floats"


def test_a_file_that_is_no_model_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x.onnx").write_bytes(b"no model")
    with pytest.raises(CommandError, match="not a model that onnxruntime can load"):
        OnnxClassifier(tmp_path / "x.onnx")
