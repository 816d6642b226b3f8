"""Which ONNX files may be loaded: found without the ``onnx`` package, wherever in the graph the trouble hides."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

from app.inference.model_refused import ModelRefused
from app.inference.onnx_file import check_onnx_file
from app.inference.session import ProviderUnavailable, Session, SessionOptions
from tests.colour_model import LABELS, SPEC, colour_graph

SHIPPED = sorted((Path(__file__).parents[4] / "models").glob("*/*/*.onnx"))
ONNX = colour_graph().SerializeToString()

Change = Callable[[onnx.ModelProto], None]


def refusal(model: bytes) -> str:
    with pytest.raises(ModelRefused, match=r"^colours/1: ") as refused:
        check_onnx_file(model, "colours/1")
    return refused.value.cause


def changed(change: Change) -> bytes:
    model = colour_graph()
    change(model)
    return model.SerializeToString()


def external(location: str = "weights.bin") -> onnx.TensorProto:
    tensor = helper.make_tensor("far", TensorProto.FLOAT, [3], np.ones(3, np.float32).tobytes(), raw=True)
    onnx.external_data_helper.set_external_data(tensor, location)
    tensor.ClearField("raw_data")
    return tensor


def foreign_node(operator: str = "Surprise", domain: str = "evil") -> onnx.NodeProto:
    return helper.make_node(operator, ["logits"], ["x"], domain=domain)


def branch(node: onnx.NodeProto) -> onnx.GraphProto:
    return helper.make_graph([node], "branch", [], [helper.make_tensor_value_info("x", TensorProto.FLOAT, None)])


def in_branch(node: onnx.NodeProto) -> onnx.NodeProto:
    return helper.make_node("If", ["flag"], ["y"], then_branch=branch(node), else_branch=branch(node))


def function(domain: str, node: onnx.NodeProto) -> onnx.FunctionProto:
    return helper.make_function(domain, "Local", ["logits"], ["x"], [node], [helper.make_opsetid("", 18)])


@pytest.mark.parametrize("file", SHIPPED, ids=lambda path: path.name)
def test_what_training_exports_passes(file: Path) -> None:
    check_onnx_file(file.read_bytes(), "shipped")


def test_a_standard_graph_passes() -> None:
    check_onnx_file(ONNX, "colours/1")


@pytest.mark.parametrize("operator", ["QuantizeLinear", "DequantizeLinear", "QLinearAdd", "QGemm"])
def test_quantised_operators_of_onnxruntime_pass(operator: str) -> None:
    check_onnx_file(changed(lambda model: model.graph.node.append(foreign_node(operator, "com.microsoft"))), "colours/1")


FOREIGN: dict[str, Change] = {
    "node": lambda model: model.graph.node.append(foreign_node()),
    "branch": lambda model: model.graph.node.append(in_branch(foreign_node())),
    "branch of a branch": lambda model: model.graph.node.append(in_branch(in_branch(foreign_node()))),
    "function": lambda model: model.functions.append(function("ai.onnx", foreign_node())),
    "default of a function": lambda model: model.functions.append(with_default(foreign_node())),
}


def with_default(node: onnx.NodeProto) -> onnx.FunctionProto:
    standard = function("ai.onnx", helper.make_node("Relu", ["logits"], ["x"]))
    standard.attribute_proto.append(helper.make_attribute("body", branch(node)))
    return standard


@pytest.mark.parametrize("place", FOREIGN)
def test_a_foreign_operator_is_found_in_every_place(place: str) -> None:
    assert refusal(changed(FOREIGN[place])).startswith("it needs the operator Surprise of the domain evil")


@pytest.mark.parametrize("operator", ["EPContext", "PythonOp", "FusedConv"])
def test_of_onnxruntimes_own_operators_only_the_quantised_pass(operator: str) -> None:
    model = changed(lambda model: model.graph.node.append(foreign_node(operator, "com.microsoft")))
    assert refusal(model).startswith(f"it needs the operator {operator} of the domain com.microsoft")


def sparse() -> onnx.SparseTensorProto:
    indices = numpy_helper.from_array(np.array([0, 1, 2], np.int64))
    return helper.make_sparse_tensor(external(), indices, [9])


EXTERNAL: dict[str, Change] = {
    "initializer": lambda model: model.graph.initializer.append(external()),
    "sparse initializer": lambda model: model.graph.sparse_initializer.append(sparse()),
    "attribute": lambda model: model.graph.node.append(helper.make_node("Constant", [], ["x"], value=external())),
    "branch": lambda model: model.graph.node.append(in_branch(helper.make_node("Constant", [], ["x"], value=external()))),
    "address": lambda model: model.graph.initializer.append(external("*/_ORT_MEM_ADDR_/*")),
}


@pytest.mark.parametrize("place", EXTERNAL)
def test_weights_in_another_file_are_found_in_every_place(place: str) -> None:
    assert refusal(changed(EXTERNAL[place])).startswith("it keeps weights in another file")


def test_a_number_that_is_written_longer_than_needed_hides_nothing() -> None:
    """Protobuf reads 0x86 0x00 as 6: the length of a name, as the key of a field."""
    plain = changed(lambda model: model.graph.initializer.append(external()))
    tensor = external().SerializeToString()
    (location,) = (pair.SerializeToString() for pair in external().external_data)
    longer = location.replace(b"\x0a\x08location", b"\x0a\x88\x00location")
    hidden = tensor.replace(bytes([len(location)]) + location, bytes([len(longer)]) + longer)
    graph = b"\x2a" + bytes([len(hidden)]) + hidden
    model = onnx.load_from_string(ONNX + b"\x3a" + bytes([len(graph)]) + graph)  # protobuf joins a field that comes twice
    assert model.graph.initializer[-1].external_data[0].key == "location"
    assert refusal(ONNX + b"\x3a" + bytes([len(graph)]) + graph) == refusal(plain)


def test_a_domain_that_is_written_twice_is_foreign_if_either_is() -> None:
    twice = foreign_node().SerializeToString() + b"\x3a\x00"
    graph = b"\x0a" + bytes([len(twice)]) + twice
    assert "domain evil" in refusal(ONNX + b"\x3a" + bytes([len(graph)]) + graph)


@pytest.mark.parametrize("model", [b"", b"not a model", bytes(100), b"\x08\x09", b"\xff" * 50, b"....ORTM" + bytes(50)])
def test_other_bytes_are_refused(model: bytes) -> None:
    assert refusal(model).startswith("its model file")


def test_a_file_of_endless_parts_is_not_walked_to_its_end() -> None:
    assert "more parts" in refusal(b"\x08\x01" * 1_000_001)


@given(st.integers(0, len(ONNX) - 1), st.binary(min_size=1, max_size=4))
def test_damage_never_raises_anything_else(position: int, damage: bytes) -> None:
    for model in (ONNX[:position], ONNX[:position] + damage + ONNX[position + len(damage) :]):
        try:
            check_onnx_file(model, "colours/1")
        except ModelRefused as refused:
            assert "\n" not in str(refused)  # noqa: PT017 many damages go unnoticed here, and are onnxruntime's to find


def test_onnxruntime_itself_runs_no_operator_of_a_domain_that_nobody_registered() -> None:
    model = colour_graph()
    model.opset_import.append(helper.make_opsetid("evil", 1))
    model.graph.node.append(foreign_node())
    with pytest.raises(ProviderUnavailable, match="evil"):
        Session(model.SerializeToString(), SPEC.shape, len(LABELS), "cpu", SessionOptions(1, 1))
