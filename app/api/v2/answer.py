"""Probabilities to the body of the answer: JSON, or JSON and binary data. Knows no HTTP."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from app.api.v2.contract import OUTPUT, OUTPUT_TYPE
from app.api.v2.message import InferMessage
from app.api.v2.schemas import AnswerOutputBody, AnswerParameters, InferAnswerBody
from app.api.v2.tensors import bytes_of_floats, bytes_of_texts, classifications
from clips import Manifest


@dataclass(frozen=True)
class InferAnswer:
    """The body of an answer."""

    content: bytes
    header_bytes: int | None
    """How many of them are JSON, where binary data follows."""


def infer_answer(message: InferMessage, manifest: Manifest, probabilities: NDArray[np.float32]) -> InferAnswer:
    """The answer to ``message`` with ``probabilities`` (clips, labels), in the form that it asks for."""
    output, binary = _output(message, manifest.labels, probabilities)
    body = InferAnswerBody(
        model_name=manifest.name, model_version=str(manifest.version), id=message.request_id, outputs=[output]
    )
    header = body.model_dump_json(exclude_none=True).encode()
    return InferAnswer(header + binary, len(header) if message.binary_output else None)


def _output(message: InferMessage, labels: list[str], probabilities: NDArray[np.float32]) -> tuple[AnswerOutputBody, bytes]:
    """The tensor, and its binary data where they are asked for."""
    if message.classes:
        rows = classifications(probabilities, labels, message.classes)
        texts = [text for row in rows for text in row]
        output = AnswerOutputBody(name=OUTPUT, datatype="BYTES", shape=[len(rows), message.classes], data=texts)
        binary = bytes_of_texts(texts)
    else:
        values = probabilities.ravel().tolist()
        output = AnswerOutputBody(name=OUTPUT, datatype=OUTPUT_TYPE, shape=list(probabilities.shape), data=values)
        binary = bytes_of_floats(probabilities)
    if not message.binary_output:
        return output, b""
    return output.model_copy(update={"data": None, "parameters": AnswerParameters(binary_data_size=len(binary))}), binary
