"""What every peer and the bare limit run: a decoder, and an ONNX session with one thread."""

import os
from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np

os.environ["ORT_DISABLE_TELEMETRY"] = "1"  # as in our server; read when onnxruntime is imported
import onnxruntime as ort

from benchmarks.peers.decoders import DECODERS, Frames
from benchmarks.peers.task import Task, read_model

Answer: TypeAlias = dict[str, Any]
"""The body of a peer's answer: ``label``, and ``probabilities`` in the order of the manifest's labels."""


class Classifier:
    """A loaded model. Its methods may be called from several threads at once."""

    def __init__(self, task: Task) -> None:
        manifest, model = read_model(task.model)
        self._labels, self._spec = manifest.labels, manifest.clip_spec
        self._decode = DECODERS[task.decoder]
        options = ort.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        self._session = ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])

    def decode(self, video: bytes) -> Frames:
        """The frames that the model takes."""
        return self._decode(video, self._spec)

    def answers(self, clips: Sequence[Frames]) -> list[Answer]:
        """One run of the model over a batch; an answer for each clip, in order."""
        rows = self._session.run(["probabilities"], {"clips": np.stack(clips)})[0]
        return [{"label": self._labels[int(row.argmax())], "probabilities": row.tolist()} for row in rows]

    def classify(self, video: bytes) -> Answer:
        """One video, from bytes to its answer."""
        return self.answers([self.decode(video)])[0]
