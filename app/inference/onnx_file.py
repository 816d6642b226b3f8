"""What an ONNX file may hold: its weights, and operators that onnxruntime brings itself.

Weights in other files (external data) are refused: their bytes were never checked, onnxruntime looks for them in the working
directory, and one of its location names is an address in memory. So are operators of foreign domains, and those of
onnxruntime's own that read other files. The server does not carry the ``onnx`` package, so this reads the protobuf wire
format: of each message only the fields that hold messages, down to tensors and nodes.

    ModelProto  graph 7, functions 25          NodeProto       op_type 4, attribute 5, domain 7
    GraphProto  node 1, initializer 5,         AttributeProto  t 5, g 6, tensors 10, graphs 11, sparse 22 and 23
                sparse_initializer 15          TensorProto     external_data 13, data_location 14

Source: onnx/onnx.proto; protobuf.dev, "Encoding".
"""

from collections.abc import Iterator
from typing import Literal, NamedTuple

from app.inference.model_refused import ModelRefused

Message = Literal["model", "graph", "function", "node", "attribute", "tensor", "sparse"]

_MESSAGES: dict[Message, dict[int, Message]] = {
    "model": {7: "graph", 25: "function"},
    "graph": {1: "node", 5: "tensor", 15: "sparse"},
    "function": {7: "node", 11: "attribute"},
    "node": {5: "attribute"},
    "attribute": {5: "tensor", 6: "graph", 10: "tensor", 11: "graph", 22: "sparse", 23: "sparse"},
    "sparse": {1: "tensor", 2: "tensor"},
    "tensor": {},
}
_OP_TYPE, _DOMAIN = 4, 7
_EXTERNAL_DATA, _DATA_LOCATION = 13, 14

_VARINT, _FIXED_64, _LENGTH, _FIXED_32 = 0, 1, 2, 5

_STANDARD_DOMAINS = {"", "ai.onnx"}
_QUANTISED_DOMAIN = "com.microsoft"
_QUANTISED = {
    "DequantizeLinear",
    "DynamicQuantizeMatMul",
    "MatMulIntegerToFloat",
    "MatMulNBits",
    "QAttention",
    "QGemm",
    "QuantizeLinear",
}
"""Operators of onnxruntime's own that its quantiser writes, beside those named ``QLinear...``."""

_MOST_FIELDS = 1_000_000
"""A file whose weights stand value by value takes minutes to walk; real ones have some thousand fields."""


class _Field(NamedTuple):
    number: int
    wire_type: int
    start: int
    end: int
    value: int
    """Of a varint; else 0."""


class _Malformed(Exception):
    """The bytes are not a protobuf message, or one too long to read."""


def check_onnx_file(model: bytes, title: str) -> None:
    """Raises: ModelRefused: ``model`` is no ONNX file, refers to another one, or needs a foreign operator."""
    num_nodes = 0
    try:
        for kind, fields in _walk(model):
            if kind == "tensor":
                _check_tensor(fields, title)
            elif kind == "node":
                num_nodes += 1
                _check_node(model, fields, title)
    except _Malformed as problem:
        raise ModelRefused(title, f"its model file is not an ONNX file: {problem}") from None
    if not num_nodes:
        raise ModelRefused(title, "its model file holds no ONNX graph")


def _walk(model: bytes) -> Iterator[tuple[Message, list[_Field]]]:
    """Every message down to the nodes and tensors, with those of its fields that hold no other. Raises: _Malformed."""
    inside: list[tuple[Message, int, int]] = [("model", 0, len(model))]
    num_fields = 0
    while inside:
        kind, start, end = inside.pop()
        plain = []
        for field in _fields(model, start, end):
            num_fields += 1
            if num_fields > _MOST_FIELDS:
                raise _Malformed("it has more parts than the server reads")
            held = _MESSAGES[kind].get(field.number) if field.wire_type == _LENGTH else None
            if held:
                inside.append((held, field.start, field.end))
            else:
                plain.append(field)
        yield kind, plain


def _check_tensor(fields: list[_Field], title: str) -> None:
    for field in fields:
        if field.number == _EXTERNAL_DATA or (field.number == _DATA_LOCATION and field.value):
            raise ModelRefused(title, "it keeps weights in another file (ONNX external data); export it as a single file")


def _check_node(model: bytes, fields: list[_Field], title: str) -> None:
    domains = _texts(model, fields, _DOMAIN) or [""]
    for domain in domains:
        if domain in _STANDARD_DOMAINS:
            continue
        operators = _texts(model, fields, _OP_TYPE) or [""]
        known = all(operator in _QUANTISED or operator.startswith("QLinear") for operator in operators)
        if domain != _QUANTISED_DOMAIN or not known:
            wanted = f"{operators[-1][:64]} of the domain {domain[:64]}"
            raise ModelRefused(title, f"it needs the operator {wanted}; only onnxruntime's own are run")


def _texts(model: bytes, fields: list[_Field], number: int) -> list[str]:
    """Each occurrence: of a field that is written twice the last counts, and nobody writes one twice who means well."""
    found = (field for field in fields if field.number == number and field.wire_type == _LENGTH)
    return [model[field.start : field.end].decode(errors="replace") for field in found]


def _fields(data: bytes, position: int, end: int) -> Iterator[_Field]:
    """The fields of the message in ``data[position:end]``. Raises: _Malformed."""
    while position < end:
        key, position = _varint(data, position, end)
        number, wire_type = (key & 0xFFFFFFFF) >> 3, key & 7  # protobuf drops what is above 32 bits
        value, start = 0, position
        if wire_type == _VARINT:
            value, position = _varint(data, position, end)
        elif wire_type == _LENGTH:
            length, start = _varint(data, position, end)
            position = start + length
        elif wire_type in {_FIXED_32, _FIXED_64}:
            position += 4 if wire_type == _FIXED_32 else 8
        else:
            raise _Malformed("a field has an unknown type")
        if position > end or not number:
            raise _Malformed("a field is longer than what holds it, or has no number")
        yield _Field(number, wire_type, start, position, value)


def _varint(data: bytes, position: int, end: int) -> tuple[int, int]:
    """Its value and the position behind it: seven bits a byte, the lowest first, the last without the top bit."""
    value = 0
    for shift in range(0, 70, 7):
        if position >= end:
            raise _Malformed("it ends in a number")
        byte = data[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, position
    raise _Malformed("a number is too long")
