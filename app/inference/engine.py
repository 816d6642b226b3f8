"""One model on one execution provider, in as many lanes as pay: each a thread of its own, so that the event loop stays free."""

import asyncio
import os
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from functools import partial
from queue import SimpleQueue
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from app.inference.batch_run import Clips, OutOfDeviceMemory
from app.inference.calibration import Calibrated, calibrate, prepare
from app.inference.execution_plan import PlanRequest
from app.inference.model_refused import ModelRefused
from app.inference.plan_memory import PlanMemory
from app.inference.provider_options import Provider
from app.inference.repository import PublishedModel
from app.inference.session import ProviderUnavailable, Session, SessionOptions, first_line
from app.observability import logs
from clips.errors import CommandError
from clips.manifest import Precision, Quantisation, Variant

RequestedProvider = Literal["auto", "cuda", "tensorrt", "cpu"]

_CANDIDATES: dict[RequestedProvider, tuple[Provider, ...]] = {
    "auto": ("cuda", "cpu"),
    "cuda": ("cuda",),
    "tensorrt": ("tensorrt",),
    "cpu": ("cpu",),
}

# INT8 is 3 to 4 times as fast as fp32 on a CPU; the CUDA provider has no kernels for it. In the form for TensorRT, s8s8, a CPU
# computes it in floating point, slower than fp32.
_PREFERRED: dict[Provider, tuple[Precision | Quantisation, ...]] = {
    "cpu": ("u8s8", "fp32", "fp16", "s8s8"),
    "cuda": ("fp16", "fp32", "u8s8", "s8s8"),
    "tensorrt": ("fp16", "fp32", "s8s8", "u8s8"),
}

_NICE = 10


class Engine:
    """Warm sessions of one model, with a thread for each lane. ``run`` may be awaited by as many as there are lanes."""

    def __init__(self, calibrated: Calibrated, variant: Variant, fallback_reason: str | None = None) -> None:
        self.plan, self.variant = calibrated.plan, variant
        self.provider: Provider = calibrated.sessions[0].provider
        """Where the model runs."""
        self.fallback_reason = fallback_reason
        """Why a faster provider was not taken, in words of ours that a client may read; None where the first choice runs."""
        self.sessions = [*calibrated.sessions, *([calibrated.lone] if calibrated.lone else [])]
        """All that may answer."""
        self._lone = calibrated.lone
        self._threads = ThreadPoolExecutor(self.plan.lanes, "model", _yield_to_others if self.provider == "cpu" else None)
        self._idle: SimpleQueue[Session] = SimpleQueue()
        for lane in range(self.plan.lanes):
            self._idle.put(calibrated.sessions[lane % len(calibrated.sessions)])

    async def run(self, clips: Clips, alone: bool) -> NDArray[np.float32]:
        """Probabilities of ``clips``: float32, shape (clips, labels). ``alone``: it may use the processors of all lanes.

        Raises: OutOfDeviceMemory.
        """
        run = self._lone.run if alone and self._lone else self._run_in_lane
        return await asyncio.get_running_loop().run_in_executor(self._threads, run, clips)

    def close(self) -> None:
        """Let the threads end, and free the sessions. Blocks while batches run, and while memory is given back."""
        self._threads.shutdown(wait=True)
        for session in self.sessions:
            session.close()
        self.sessions.clear()
        self._idle, self._lone = SimpleQueue(), None

    def _run_in_lane(self, clips: Clips) -> NDArray[np.float32]:
        session = self._idle.get()
        try:
            return session.run(clips)
        finally:
            self._idle.put(session)


def _yield_to_others() -> None:
    """Called in each thread: what takes long on a processor lets go of it for what is short, the event loop and decoding."""
    if sys.platform == "linux":  # elsewhere it would be the whole process
        with suppress(OSError):  # a sandbox may forbid it
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _NICE)


def load_engine(model: PublishedModel, requested: RequestedProvider, asked: PlanRequest) -> Engine:
    """The model on the best provider that really runs it; warm when it returns. Blocks for seconds.

    Raises: ModelRefused: a named provider cannot run it, or its file is missing or was changed. CommandError: its graph breaks
        the contract.
    """
    causes: list[str] = []
    problems: list[str] = []  # as text: an exception holds what the failed session took
    for provider in _CANDIDATES[requested]:
        variant = preferred_variant(model, provider)
        try:
            calibrated = _calibrated(model, variant, provider, asked)
        except (ProviderUnavailable, OutOfDeviceMemory) as problem:
            causes.append(f"{provider}: {problem.cause}")
            problems.append(f"{provider}: {problem}")
            if problem.__cause__:  # what onnxruntime says, in full
                logs.warning("provider_failed", model=model.title, provider=provider, problem=str(problem.__cause__))
            continue
        except CommandError:
            raise
        except Exception as problem:  # onnxruntime's exceptions share no base class
            raise ModelRefused(model.title, "the model does not run", first_line(problem)) from problem
        if problems:
            logs.info("provider_fallback", model=model.title, provider=provider, reason="; ".join(problems))
        return Engine(calibrated, variant, "; ".join(causes) or None)
    raise ModelRefused(model.title, f"the model cannot run on the execution provider {requested!r}", "; ".join(problems))


def preferred_variant(model: PublishedModel, provider: Provider) -> Variant:
    """The published variant that suits the provider best."""
    ranks = _PREFERRED[provider]
    return min(model.manifest.variants, key=lambda variant: ranks.index(_kind(variant)))


def _kind(variant: Variant) -> Precision | Quantisation:
    return variant.precision if variant.precision != "int8" else variant.quantisation or "u8s8"


def _calibrated(model: PublishedModel, variant: Variant, provider: Provider, asked: PlanRequest) -> Calibrated:
    data = model.read_variant(variant)
    shape, num_labels = model.manifest.clip_spec.shape, len(model.manifest.labels)

    def open_session(threads: int, max_batch_size: int, shares_arena: bool = False) -> Session:
        options = SessionOptions(threads, max_batch_size, gpu, variant.sha256, shares_arena)
        return Session(data, shape, num_labels, provider, options)

    # without tensor cores, which TF32 stands for, cuDNN has no plan for the convolutions of an fp16 model
    gpu = replace(asked.gpu, tf32=asked.gpu.tf32 or variant.precision == "fp16")
    if provider != "cpu":
        try:
            return calibrate(open_session, shape, provider, asked)
        except ProviderUnavailable as problem:
            if gpu.cuda_graphs != "auto" or not gpu.records(provider):
                raise
            reason = str(problem)
        gpu = replace(gpu, cuda_graphs="off")  # here, because the exception holds what the failed session took
        calibrated = calibrate(open_session, shape, provider, replace(asked, gpu=gpu))
        logs.warning("no_cuda_graphs", model=model.title, reason=reason)
        return calibrated
    memory = PlanMemory(asked.cache_folder)
    plan = memory.find(variant.sha256, asked)
    if plan is None:
        calibrated = calibrate(open_session, shape, provider, asked)
        calibrated.close()  # what was tried has taken more memory than what will run
        plan = calibrated.plan
        if calibrated.is_certain:
            memory.keep(variant.sha256, asked, plan)
    return prepare(partial(open_session, shares_arena=True), plan)
