"""ONNX sessions: the one module that imports onnxruntime. A session is proven by running it, never by what is listed."""

import contextlib
import functools
import io
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from app.inference.batch_run import OutOfDeviceMemory
from app.inference.device_run import DeviceRun
from app.inference.provider_options import ORT_NAMES, GpuOptions, Provider, provider_chain
from app.inference.recording import GATE
from clips.errors import CommandError

os.putenv("ORT_DISABLE_TELEMETRY", "1")  # builds since 1.31 carry a client that sends events to their makers
import onnxruntime as ort

ORT_VERSION = str(ort.__version__)
ort.set_default_logger_severity(4)  # what matters is raised; cuDNN's plans that do not fit would fill the log

_NVIDIA_DEVICES = (Path("/dev/nvidia0"), Path("/dev/nvidiactl"), Path("/dev/dxg"), Path("/proc/driver/nvidia/version"))

# as the arena, the CUDA runtime, cuDNN and the C++ library say it: onnxruntime has no error of its own for it
_OUT_OF_MEMORY = ("Failed to allocate memory", "out of memory", "ALLOC_FAILED", "bad_alloc", "bad allocation")


class ProviderUnavailable(Exception):
    """An execution provider cannot run a model here; the message says why.

    ``cause`` may be told to a client; ``more`` is what onnxruntime says, with names of machines and files, and is for the log.
    """

    def __init__(self, cause: str, more: str | None = None) -> None:
        self.cause = cause
        super().__init__(cause + (f": {more}" if more else ""))


@dataclass(frozen=True)
class SessionOptions:
    """What a session may use, and the largest batch it will see."""

    intra_op_threads: int
    max_batch_size: int
    gpu: GpuOptions = field(default_factory=GpuOptions)
    model_sha256: str = ""
    """Names what TensorRT keeps of the model."""
    shares_arena: bool = False
    """On a CPU: whether its memory is of the arena that lasting sessions share; one that is soon closed leaves holes in it."""

    def batch_buckets(self, provider: Provider) -> list[int]:
        """Batch sizes that the session sees on a GPU, falling."""
        return self.gpu.batch_buckets(provider, self.max_batch_size)


class Session:
    """A model on one provider. ``run`` may be called from several threads at once; on a GPU they wait for each other."""

    def __init__(self, model: bytes, clip_shape: tuple[int, ...], num_labels: int, provider: Provider, options: SessionOptions):
        """Load ``model``, the bytes of an ONNX file. ``warm_up`` proves that it runs.

        Raises: ProviderUnavailable: the provider cannot run it here. CommandError: the model breaks its contract.
        """
        self.provider, self.options = provider, options
        self._clip_shape = clip_shape
        _check_present(provider)
        with GATE.using_device():
            self._session = _create(model, clip_shape, provider, options)
            _check_contract(self._session, clip_shape, num_labels)
            active = self._session.get_providers()[0]
            if active != ORT_NAMES[provider]:
                raise ProviderUnavailable(f"onnxruntime fell back to {active}; its libraries or the driver are missing")
            self._device_run = None if provider == "cpu" else _device_run(self._session, clip_shape, provider, options)

    @property
    def pinning_problem(self) -> str | None:
        """Why host memory is not pinned for a GPU; None where it is, and on a CPU."""
        return self._device_run.pinning_problem if self._device_run else None

    def run(self, clips: Sequence[NDArray[np.uint8]]) -> NDArray[np.float32]:
        """Probabilities of ``clips``: float32, shape (clips, labels). Blocks. Raises: OutOfDeviceMemory."""
        try:
            if self._device_run:
                return self._device_run(clips)
            probabilities: NDArray[np.float32] = self._session.run(["probabilities"], {"clips": _stacked(clips)})[0]
        except Exception as problem:  # onnxruntime's exceptions share no base class
            if any(words in str(problem) for words in _OUT_OF_MEMORY):
                raise OutOfDeviceMemory(first_line(problem)) from problem
            raise
        return probabilities

    def warm_up(self, sizes: Iterable[int]) -> None:
        """Run a batch of each of ``sizes``, which fall, so that memory reaches its size once.

        A session can report CUDA and still fail at its first convolution where cuDNN is missing.

        Raises: ProviderUnavailable: it does not run. OutOfDeviceMemory: the device is too small for the batch.
        """
        clip = np.zeros(self._clip_shape, np.uint8)
        try:
            for size in sizes:
                self.run([clip] * size)
        except OutOfDeviceMemory:
            raise
        except Exception as problem:  # onnxruntime's exceptions share no base class
            raise ProviderUnavailable("the model failed its proof run", first_line(problem)) from problem

    def shrink(self) -> None:
        """On a CPU, give back what the arena holds and nobody uses at the moment."""
        if self.provider == "cpu":
            options = ort.RunOptions()
            options.add_run_config_entry("memory.enable_memory_arena_shrinkage", "cpu:0")
            self._session.run(None, {"clips": np.zeros((1, *self._clip_shape), np.uint8)}, options)

    def close(self) -> None:
        """Free what it holds. It cannot run any more."""
        if self.options.shares_arena and self._session:
            self.shrink()
        self._session = None
        if self._device_run:
            self._device_run.close()
            self._device_run = None


def _stacked(clips: Sequence[NDArray[np.uint8]]) -> NDArray[np.uint8]:
    """One clip is a batch as it is."""
    return np.stack(clips) if len(clips) > 1 else clips[0][np.newaxis]


def _check_present(provider: Provider) -> None:
    if provider == "cpu":
        return
    if not any(device.exists() for device in _NVIDIA_DEVICES):
        raise ProviderUnavailable("there is no NVIDIA GPU here")
    if ORT_NAMES[provider] not in ort.get_available_providers():
        raise ProviderUnavailable(f"this onnxruntime has no {ORT_NAMES[provider]}; install onnxruntime-gpu[cuda,cudnn]")
    with contextlib.redirect_stdout(io.StringIO()):
        ort.preload_dlls()  # prints what it cannot find; the session says it better


@functools.cache
def _share_arena() -> None:
    """An arena for all lasting sessions on the CPU, whose pieces are as large as what they were taken for.

    A session's own takes the next power of two. What is not used of a piece gets used when runs of two lanes meet in another
    way than before, minutes or hours later: memory then grew by steps of 2 MiB under a load that had not changed. A process
    with two lanes of the shipped model holds 141 MB this way, and 153 with an arena of the session's own.
    """
    everywhere = ort.OrtMemoryInfo("Cpu", ort.OrtAllocatorType.ORT_ARENA_ALLOCATOR, 0, ort.OrtMemType.DEFAULT)
    same_as_requested, default = 1, -1
    config = ort.OrtArenaCfg(
        {
            "max_mem": 0,
            "arena_extend_strategy": same_as_requested,
            "initial_chunk_size_bytes": default,
            "max_dead_bytes_per_chunk": default,
        }
    )
    ort.create_and_register_allocator(everywhere, config)


def _create(model: bytes, clip_shape: tuple[int, ...], provider: Provider, options: SessionOptions) -> Any:
    settings = ort.SessionOptions()
    settings.intra_op_num_threads = options.intra_op_threads
    settings.inter_op_num_threads = 1
    settings.log_severity_level = 3
    # else a plan of memory and a block for each batch size: 474 MB after all sizes up to 8, in place of 270 and 2% more time
    settings.enable_mem_pattern = provider != "cpu"
    if provider == "cpu" and options.shares_arena:
        _share_arena()
        settings.add_session_config_entry("session.use_env_allocators", "1")
        settings.add_session_config_entry("session.use_device_allocator_for_initializers", "1")  # weights go with their session
    # waiting threads that spin take the processor from the decoders
    settings.add_session_config_entry("session.intra_op.allow_spinning", "0")
    chain = provider_chain(provider, clip_shape, options.max_batch_size, options.gpu, options.model_sha256)
    try:
        return ort.InferenceSession(model, settings, providers=chain)
    except Exception as problem:  # onnxruntime's exceptions share no base class
        raise ProviderUnavailable("the model cannot be opened", first_line(problem)) from problem


def _device_run(session: Any, clip_shape: tuple[int, ...], provider: Provider, options: SessionOptions) -> DeviceRun:
    def run_options(size: int) -> Any:
        run = ort.RunOptions()
        if options.gpu.records(provider):
            run.add_run_config_entry("gpu_graph_id", str(size))
        return run

    return DeviceRun(session, clip_shape, options.batch_buckets(provider), run_options)


def _check_contract(session: Any, clip_shape: tuple[int, ...], num_labels: int) -> None:
    """The graph's own input and output, against the manifest: uint8 clips in, one float32 row of probabilities out."""
    inputs = [(i.name, i.type, tuple(i.shape[1:])) for i in session.get_inputs()]
    if inputs != [("clips", "tensor(uint8)", clip_shape)] or isinstance(session.get_inputs()[0].shape[0], int):
        raise CommandError(
            f"the model takes {inputs}; expected one uint8 input `clips` of (batch, {', '.join(map(str, clip_shape))})"
        )
    outputs = [(o.name, o.type, o.shape[-1]) for o in session.get_outputs()]
    if outputs != [("probabilities", "tensor(float)", num_labels)]:
        raise CommandError(f"the model gives {outputs}; expected one float32 output `probabilities` of (batch, {num_labels})")


def first_line(problem: Exception) -> str:
    """What an exception of onnxruntime says, without the trace behind it and the signature of a template before it."""
    line = (str(problem).strip().splitlines() or [type(problem).__name__])[0]
    return line[max(0, line.find("CUDA failure")) :][:300]
