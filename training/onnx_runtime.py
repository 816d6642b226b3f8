"""The one module of training that imports onnxruntime: run an ONNX file, and quantise one."""

import io
import os
from collections.abc import Iterable, Iterator
from contextlib import redirect_stdout
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal

import numpy as np
import onnx
from numpy.typing import NDArray

from clips.errors import CommandError
from clips.manifest import Quantisation

os.putenv("ORT_DISABLE_TELEMETRY", "1")  # builds since 1.31 carry a client that sends events to their makers
import onnxruntime
from onnxruntime.quantization import (
    CalibrationDataReader,
    CalibrationMethod,
    QuantFormat,
    QuantType,
    quantize_static,
)
from onnxruntime.quantization.shape_inference import quant_pre_process
from onnxruntime.transformers.float16 import DEFAULT_OP_BLOCK_LIST, convert_float_to_float16
from onnxruntime.transformers.onnx_model import OnnxModel

INPUT, OUTPUT = "clips", "probabilities"
VERSION = str(onnxruntime.__version__)

Provider = Literal["cpu", "cuda"]
_PROVIDERS: dict[Provider, str] = {"cpu": "CPUExecutionProvider", "cuda": "CUDAExecutionProvider"}

# Pixels: half precision has 11 bits. What comes after the trunk stays in fp32 too, since there is little to compute.
_FULL_PRECISION_OPERATORS = ["Cast", "Sub", "Div", "ReduceMean"]

_POOLING = ("ReduceMean", "GlobalAveragePool")
"""How the trunk ends."""

# Activations are cut off at a percentile, since a few outliers would coarsen the steps for all others: on 49 validation
# clips probabilities then moved by 0.0038 on average, with the full range (MinMax) by 0.0052. onnxruntime holds the
# activations of so many clips in memory at a time (0.1 to 0.8 GB each).
_CALIBRATION = {"CalibPercentile": 99.99, "CalibMaxIntermediateOutputs": 1}

# u8s8: what the CPU has integer kernels for. Weights keep 7 bits (reduce_range): CPUs without VNNI add two products of 8 x 8
# bits in 16 bits, which saturates with full weights, and a file must give the same answer on every CPU.
# s8s8: what TensorRT's parser takes, which knows zero points of 0 alone, and no int32, in which a quantised bias stands; placed
# where TensorRT fuses best: on what convolutions read, while what they write stays in float up to the sum and the ReLU behind.
# Sources: onnxruntime's quantisation guide; TensorRT's "Q/DQ Layer-Placement Recommendations"; microsoft/onnxruntime#14229.
_FORMS: dict[Quantisation, dict[str, Any]] = {
    "u8s8": {
        "activation_type": QuantType.QUInt8,
        "reduce_range": True,
        "op_types_to_quantize": ["Conv", "Add", "MaxPool"],
        "extra_options": _CALIBRATION,
    },
    "s8s8": {
        "activation_type": QuantType.QInt8,
        "op_types_to_quantize": ["Conv"],
        "extra_options": {
            **_CALIBRATION,
            "ActivationSymmetric": True,
            "WeightSymmetric": True,
            "QuantizeBias": False,
            "OpTypesToExcludeOutputQuantization": ["Conv"],
        },
    },
}

ClipArray = NDArray[np.uint8]


class OnnxClassifier:
    """An ONNX file on the CPU, or on the execution provider that is named."""

    def __init__(self, file: Path, threads: int = 0, provider: Provider = "cpu") -> None:
        """``threads`` that share the work of one run; 0: as onnxruntime thinks fit.

        Raises: CommandError: onnxruntime cannot load the file, or would run it elsewhere.
        """
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        # as in the server: threads that wait and spin disturb whoever runs next
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        if provider == "cuda":
            with redirect_stdout(io.StringIO()):  # it prints what it cannot find; the session says it better
                onnxruntime.preload_dlls()
        try:
            self._session = onnxruntime.InferenceSession(str(file), options, providers=[_PROVIDERS[provider]])
        except Exception as problem:  # onnxruntime's exceptions share no public base class
            raise CommandError(f"{file} is not a model that onnxruntime can load") from problem
        active = self._session.get_providers()[0]
        if active != _PROVIDERS[provider]:
            raise CommandError(f"onnxruntime fell back to {active}; the libraries of {provider} or its driver are missing")

    def __call__(self, clips: ClipArray) -> NDArray[np.float32]:
        """(batch, frames, height, width, 3), uint8 -> probabilities (batch, labels). Raises: CommandError: it does not run."""
        try:
            probabilities: NDArray[np.float32] = self._session.run([OUTPUT], {INPUT: clips})[0]
        except Exception as problem:  # a session can report CUDA and fail at its first convolution, without cuDNN
            raise CommandError(f"onnxruntime cannot run the model: {str(problem).splitlines()[0][:300]}") from problem
        return probabilities


class _Calibration(CalibrationDataReader):  # type: ignore[misc]
    """Clips one at a time, in the form that onnxruntime asks for."""

    def __init__(self, clips: Iterable[ClipArray]) -> None:
        self._clips: Iterator[ClipArray] = iter(clips)

    def get_next(self) -> dict[str, ClipArray] | None:
        clip = next(self._clips, None)
        return None if clip is None else {INPUT: clip[None]}


def quantise(model: Path, target: Path, calibration_clips: Iterable[ClipArray], form: Quantisation = "u8s8") -> None:
    """Write the INT8 form of ``model`` (fp32) to ``target``: QDQ, activations as ``form`` says, int8 weights per channel."""
    # the calibrator narrates on standard output
    with TemporaryDirectory() as folder, redirect_stdout(io.StringIO()):
        prepared = Path(folder) / "prepared.onnx"
        # symbolic shape inference stumbles over the dynamic batch, and nothing here needs it
        quant_pre_process(model, prepared, skip_symbolic_shape=True)
        quantize_static(
            prepared,
            target,
            _Calibration(calibration_clips),
            quant_format=QuantFormat.QDQ,
            weight_type=QuantType.QInt8,
            per_channel=True,
            nodes_to_exclude=_above_trunk(onnx.load(prepared).graph),  # there is little to compute, and much to lose
            calibrate_method=CalibrationMethod.Percentile,
            **_FORMS[form],
        )


def halve(model: Path, target: Path) -> None:
    """Write the fp16 form of ``model`` (fp32) to ``target``: half precision from the first convolution to the last."""
    whole = onnx.load(model)
    kept = [*DEFAULT_OP_BLOCK_LIST, *_FULL_PRECISION_OPERATORS]
    above = _above_trunk(whole.graph)
    halved = convert_float_to_float16(whole, keep_io_types=True, op_block_list=kept, node_block_list=above)
    _remove_repetitions(halved.graph)
    _remove_detours(halved.graph)
    OnnxModel(halved).topological_sort()  # the converter puts its casts at the end
    onnx.checker.check_model(halved, full_check=True)
    onnx.save(halved, target)


def _above_trunk(graph: onnx.GraphProto) -> list[str]:
    """Names of the nodes that get the pooled features of frames, directly or not: temporal pooling, head, softmax."""
    nodes = list(graph.node)  # each after those that it reads from
    last = max(at for at, node in enumerate(nodes) if node.op_type == "Conv")
    pooling = next(node for node in nodes[last:] if node.op_type in _POOLING)
    reached = set(pooling.output)
    above = []
    for node in nodes:
        if reached.intersection(node.input):
            reached.update(node.output)
            above.append(node.name)
    return above


def _remove_repetitions(graph: onnx.GraphProto) -> None:
    """The converter casts a value anew, under the same name, for each operator that reads it."""
    made: set[str] = set()
    for node in list(graph.node):
        if node.op_type == "Cast" and node.output[0] in made:
            graph.node.remove(node)
        made.update(node.output)


def _remove_detours(graph: onnx.GraphProto) -> None:
    """What goes from fp32 to fp16 and straight back stays in fp32: the converter casts around each operator by itself."""
    casts = {node.output[0]: node for node in graph.node if node.op_type == "Cast"}
    for node in [n for n in graph.node if n.op_type == "Cast" and n.attribute[0].i == onnx.TensorProto.FLOAT]:
        before = casts.get(node.input[0])
        if before is None or before.attribute[0].i != onnx.TensorProto.FLOAT16:
            continue
        graph.node.remove(node)
        if node.output[0] in {value.name for value in graph.output}:
            _rename(graph, before.input[0], node.output[0])
        else:
            _rename(graph, node.output[0], before.input[0])
    read = {name for node in graph.node for name in node.input} | {value.name for value in graph.output}
    for cast in [n for n in graph.node if n.op_type == "Cast" and n.output[0] not in read]:
        graph.node.remove(cast)
    del graph.value_info[:]  # types of what was half precision before


def _rename(graph: onnx.GraphProto, name: str, new_name: str) -> None:
    for node in graph.node:
        node.input[:] = [new_name if value == name else value for value in node.input]
        node.output[:] = [new_name if value == name else value for value in node.output]
