"""Runs on a GPU: one copy in, one launch, one copy out, between buffers that stay where they are.

    clips --stack--> pinned host memory --copy--> `clips` of the bucket --run--> `probabilities` of the bucket --copy--> rows

A batch is filled up to its bucket, so that the device sees few sizes, each of them warm. Fixed addresses are what CUDA graphs
need too: one graph for each bucket, recorded at its first run. All of it happens in one thread, since onnxruntime keeps the
graphs of each thread apart and would record them anew.
"""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from app.inference.pinned_memory import PinnedBuffer
from app.inference.recording import GATE


@dataclass(frozen=True)
class _Bucket:
    """Buffers of one batch size, on the device."""

    clips: Any
    binding: Any
    run_options: Any


class DeviceRun:
    """The way of batches through one session of onnxruntime, one at a time."""

    def __init__(
        self,
        session: Any,
        clip_shape: tuple[int, ...],
        sizes: Sequence[int],
        run_options: Callable[[int], Any],
        device: str = "cuda",
    ) -> None:
        """``sizes`` are those of the buckets; ``run_options`` makes the ``RunOptions`` of one.

        On ``cpu`` the same path can be tried without a GPU.
        """
        self._session, self._sizes, self._device = session, sorted(sizes), device
        self._run_options = run_options
        self._thread = ThreadPoolExecutor(1, "device")
        self._pinned = PinnedBuffer((self._sizes[-1], *clip_shape))
        self._host = self._pinned.array
        self._num_labels = session.get_outputs()[0].shape[-1]
        self._buckets: dict[int, _Bucket] = {}

    @property
    def pinning_problem(self) -> str | None:
        """Why the host memory is not pinned; None where it is."""
        return self._pinned.problem

    def __call__(self, clips: Sequence[NDArray[np.uint8]]) -> NDArray[np.float32]:
        """Probabilities: float32, shape (clips, labels)."""
        return self._thread.submit(self._run, clips).result()

    def close(self) -> None:
        """Let go of the memory on both sides."""
        self._thread.submit(self._free).result()
        self._thread.shutdown()

    def _run(self, clips: Sequence[NDArray[np.uint8]]) -> NDArray[np.float32]:
        size = next(size for size in self._sizes if size >= len(clips))
        np.stack(clips, out=self._host[: len(clips)])
        if size in self._buckets:
            with GATE.using_device():
                return self._run_bucket(self._buckets[size], size)[: len(clips)]
        with GATE.recording():
            buffers = self._bind(size)
            rows = self._run_bucket(buffers, size)
            self._buckets[size] = buffers
            return rows[: len(clips)]

    def _run_bucket(self, buffers: _Bucket, size: int) -> NDArray[np.float32]:
        buffers.clips.update_inplace(self._host[:size])
        self._session.run_with_iobinding(buffers.binding, buffers.run_options)
        probabilities: NDArray[np.float32] = buffers.binding.copy_outputs_to_cpu()[0]
        return probabilities

    def _free(self) -> None:
        with GATE.using_device():
            self._buckets.clear()
            self._session = None
            del self._host
            self._pinned.close()

    def _bind(self, size: int) -> _Bucket:
        clips = self._buffer((size, *self._host.shape[1:]), np.uint8)
        binding = self._session.io_binding()
        binding.bind_ortvalue_input("clips", clips)
        binding.bind_ortvalue_output("probabilities", self._buffer((size, self._num_labels), np.float32))
        return _Bucket(clips, binding, self._run_options(size))

    def _buffer(self, shape: tuple[int, ...], dtype: type) -> Any:
        return self._session.create_ortvalue_from_shape_and_type(shape, dtype, self._device)
