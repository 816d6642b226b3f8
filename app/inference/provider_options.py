"""What onnxruntime is told about each execution provider: plain data, so that it can be tested without a GPU."""

from dataclasses import dataclass, replace
from typing import Literal

from app.inference.batch_sizes import batch_buckets

Provider = Literal["cuda", "tensorrt", "cpu"]

ORT_NAMES: dict[Provider, str] = {
    "cuda": "CUDAExecutionProvider",
    "tensorrt": "TensorrtExecutionProvider",
    "cpu": "CPUExecutionProvider",
}


CudaGraphs = Literal["auto", "on", "off"]


@dataclass(frozen=True)
class GpuOptions:
    """How a GPU is used; nothing of it matters on a CPU."""

    memory_bytes: int = 0
    """Most that the arena of a session may take; 0 for no bound. Workspaces of cuDNN come on top."""
    cuda_graphs: CudaGraphs = "auto"
    """Replay the kernels of each batch size as one launch; ``auto``: on CUDA, where the model can be recorded."""
    tf32: bool = False
    """Round what fp32 models multiply to 10 bits of mantissa."""
    cache_folder: str | None = None
    """Where TensorRT keeps the engines that it built, which takes minutes; None builds them at each start."""

    def records(self, provider: Provider) -> bool:
        """Whether kernels are recorded."""
        return self.cuda_graphs == "on" or (self.cuda_graphs == "auto" and provider == "cuda")

    def batch_buckets(self, provider: Provider, max_batch_size: int) -> list[int]:
        """Batch sizes that the device sees, falling.

        CUDA without graphs sees one: whenever the size changes, cuDNN plans each convolution anew, 0.1 to 0.2 s a run.
        """
        if provider == "cuda" and not self.records(provider):
            return [max_batch_size]
        return batch_buckets(max_batch_size)


def provider_chain(
    provider: Provider, clip_shape: tuple[int, ...], max_batch_size: int, gpu: GpuOptions, model_sha256: str
) -> list[tuple[str, dict[str, str]]]:
    """The ``providers`` of an ``InferenceSession``: what TensorRT cannot run goes to CUDA.

    Single nodes that a GPU's providers have no kernel for, onnxruntime leaves to the CPU without a word: only
    ``session.disable_cpu_ep_fallback`` would forbid it, and is not set. Such a model cannot be recorded as a CUDA graph.
    """
    match provider:
        case "cpu":
            options: dict[str, str] = {}
        case "cuda":
            options = _cuda(gpu)
        case "tensorrt":
            options = _tensorrt(clip_shape, max_batch_size, gpu, model_sha256)
    chain = [(ORT_NAMES[provider], options)]
    if provider == "tensorrt":
        chain.append((ORT_NAMES["cuda"], _cuda(replace(gpu, cuda_graphs="off"))))
    return chain


def _cuda(gpu: GpuOptions) -> dict[str, str]:
    options = {
        "cudnn_conv_algo_search": "HEURISTIC",  # the default is exhaustive: half a second for each new batch size
        "arena_extend_strategy": "kSameAsRequested",  # the default doubles what it takes each time
        "use_tf32": str(int(gpu.tf32)),  # the default is on: then probabilities depend on the batch
    }
    if gpu.memory_bytes:
        options["gpu_mem_limit"] = str(gpu.memory_bytes)
    if gpu.records("cuda"):
        options["enable_cuda_graph"] = "1"
    return options


def _tensorrt(shape: tuple[int, ...], max_batch_size: int, gpu: GpuOptions, sha256: str) -> dict[str, str]:
    """One profile for all batch sizes: without it, TensorRT builds anew whenever a batch is larger or smaller than before."""
    sizes = {"min": 1, "opt": max_batch_size, "max": max_batch_size}
    options = {f"trt_profile_{k}_shapes": f"clips:{'x'.join(map(str, (n, *shape)))}" for k, n in sizes.items()}
    if gpu.records("tensorrt"):
        options["trt_cuda_graph_enable"] = "1"
    if gpu.cache_folder:
        options |= {
            "trt_engine_cache_enable": "1",
            "trt_engine_cache_path": gpu.cache_folder,
            "trt_engine_cache_prefix": sha256[:16],  # a name of ours: TensorRT's own is that of the graph
            "trt_timing_cache_enable": "1",
            "trt_timing_cache_path": gpu.cache_folder,
        }
    return options
