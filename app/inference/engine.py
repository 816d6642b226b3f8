"""One model on one execution provider, run in a thread of its own so that the event loop stays free."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from app.inference.batch_run import Clips
from app.inference.model_refused import ModelRefused
from app.inference.repository import PublishedModel
from app.inference.session import Provider, ProviderUnavailable, Session, SessionOptions
from app.observability import logs
from clips.manifest import Precision, Variant

RequestedProvider = Literal["auto", "cuda", "tensorrt", "cpu"]

_CANDIDATES: dict[RequestedProvider, tuple[Provider, ...]] = {
    "auto": ("cuda", "cpu"),
    "cuda": ("cuda",),
    "tensorrt": ("tensorrt",),
    "cpu": ("cpu",),
}

# INT8 is 3 to 4 times as fast as fp32 on a CPU; the CUDA provider has no kernels for it
_PREFERRED: dict[Provider, tuple[Precision, ...]] = {
    "cpu": ("int8", "fp32", "fp16"),
    "cuda": ("fp16", "fp32", "int8"),
    "tensorrt": ("fp16", "fp32", "int8"),
}


@dataclass(frozen=True)
class Engine:
    """A warmed session. ``run`` may be awaited by one batcher."""

    session: Session
    variant: Variant
    thread: ThreadPoolExecutor
    fallback_reason: str | None
    """Why a faster provider was not taken; None where the first choice runs."""

    @property
    def provider(self) -> Provider:
        """Where the model runs."""
        return self.session.provider

    async def run(self, clips: Clips) -> NDArray[np.float32]:
        """Probabilities of ``clips``: float32, shape (clips, labels)."""
        return await asyncio.get_running_loop().run_in_executor(self.thread, self.session.run, clips)

    def close(self) -> None:
        """Let the thread end."""
        self.thread.shutdown(wait=False)


def load_engine(model: PublishedModel, requested: RequestedProvider, options: SessionOptions) -> Engine:
    """The model on the best provider that really runs it; warm when it returns. Blocks for seconds.

    Raises: ModelRefused: a named provider cannot run it, or its file is missing or was changed. CommandError: its graph breaks
        the contract.
    """
    reasons: list[str] = []
    for provider in _CANDIDATES[requested]:
        variant = preferred_variant(model, provider)
        try:
            session = _open(model, variant, provider, options)
        except ProviderUnavailable as problem:
            reasons.append(f"{provider}: {problem}")
            continue
        if reasons:
            logs.info("provider_fallback", model=model.title, provider=provider, reason="; ".join(reasons))
        return Engine(session, variant, ThreadPoolExecutor(1, "model"), "; ".join(reasons) or None)
    raise ModelRefused(model.title, f"the model cannot run on the execution provider {requested!r}", "; ".join(reasons))


def preferred_variant(model: PublishedModel, provider: Provider) -> Variant:
    """The published variant that suits the provider best."""
    ranks = _PREFERRED[provider]
    return min(model.manifest.variants, key=lambda variant: ranks.index(variant.precision))


def _open(model: PublishedModel, variant: Variant, provider: Provider, options: SessionOptions) -> Session:
    data = model.read_variant(variant)
    manifest = model.manifest
    return Session(data, manifest.clip_spec.shape, len(manifest.labels), provider, options)
