"""Runs on a GPU: one copy in, one launch, one copy out, between buffers that stay where they are.

    clips --stack--> pinned host memory --copy--> `clips` of the bucket --run--> `probabilities` of the bucket --copy--> rows

A batch is filled up to its bucket, so that the device sees few sizes, each of them warm. Fixed addresses are what CUDA graphs
need too: one graph for each bucket.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from app.inference.batch_sizes import bucket
from app.inference.pinned_memory import pin, unpin


@dataclass(frozen=True)
class _Bucket:
    """Buffers of one batch size, on the device."""

    clips: Any
    binding: Any
    run_options: Any


class DeviceRun:
    """The way of batches through one session of onnxruntime. One at a time."""

    def __init__(
        self,
        session: Any,
        clip_shape: tuple[int, ...],
        max_batch_size: int,
        run_options: Callable[[int], Any],
        device: str = "cuda",
    ) -> None:
        """``run_options`` makes the ``RunOptions`` of a bucket. On ``cpu`` the same path can be tried without a GPU."""
        self._session, self._max_batch_size, self._device = session, max_batch_size, device
        self._run_options = run_options
        self._host = np.zeros((max_batch_size, *clip_shape), np.uint8)
        self.pinning_problem = pin(self._host) if device != "cpu" else "not a GPU"
        """Why the host memory is not pinned; None where it is."""
        self._num_labels = session.get_outputs()[0].shape[-1]
        self._buckets: dict[int, _Bucket] = {}

    def __call__(self, clips: Sequence[NDArray[np.uint8]]) -> NDArray[np.float32]:
        """Probabilities: float32, shape (clips, labels)."""
        size = bucket(len(clips), self._max_batch_size)
        if size not in self._buckets:
            self._buckets[size] = self._bind(size)
        buffers = self._buckets[size]
        np.stack(clips, out=self._host[: len(clips)])
        buffers.clips.update_inplace(self._host[:size])
        self._session.run_with_iobinding(buffers.binding, buffers.run_options)
        probabilities: NDArray[np.float32] = buffers.binding.copy_outputs_to_cpu()[0]
        return probabilities[: len(clips)]

    def close(self) -> None:
        """Let go of the host memory."""
        if self.pinning_problem is None:
            unpin(self._host)

    def _bind(self, size: int) -> _Bucket:
        clips = self._buffer((size, *self._host.shape[1:]), np.uint8)
        binding = self._session.io_binding()
        binding.bind_ortvalue_input("clips", clips)
        binding.bind_ortvalue_output("probabilities", self._buffer((size, self._num_labels), np.float32))
        return _Bucket(clips, binding, self._run_options(size))

    def _buffer(self, shape: tuple[int, ...], dtype: type) -> Any:
        return self._session.create_ortvalue_from_shape_and_type(shape, dtype, self._device)
