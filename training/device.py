"""Where the network runs, and in which precision."""

from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Literal

import torch

from clips.errors import CommandError

Precision = Literal["auto", "fp32", "bf16", "fp16"]
DeviceName = Literal["auto", "cpu", "cuda"]


@dataclass(frozen=True)
class Device:
    """A processor and the precision in which convolutions and matrix products are computed there; weights stay fp32."""

    torch_device: torch.device
    precision: Literal["fp32", "bf16", "fp16"]
    note: str
    """One line for the user."""

    def autocast(self) -> AbstractContextManager[object]:
        """Half precision for convolutions and matrix products, where it is chosen."""
        if self.precision == "fp32":
            return nullcontext()
        dtype = torch.bfloat16 if self.precision == "bf16" else torch.float16
        return torch.autocast(self.torch_device.type, dtype=dtype)

    def scaler(self) -> torch.amp.GradScaler:
        """Keeps gradients in the range of fp16; does nothing in other precisions."""
        return torch.amp.GradScaler(self.torch_device.type, enabled=self.precision == "fp16")


def choose_device(device: DeviceName = "auto", precision: Precision = "auto", number: int = 0) -> Device:
    """``number`` of the GPU on this machine, which becomes torch's current one.

    Raises: CommandError: CUDA was asked for and is not there, it has too few GPUs, or fp16 on a CPU.
    """
    if device == "cuda" and not torch.cuda.is_available():
        raise CommandError("--device cuda: torch sees no CUDA device here; use --device cpu or install the driver")
    on_cuda = device == "cuda" or (device == "auto" and torch.cuda.is_available())
    if precision == "fp16" and not on_cuda:
        raise CommandError("--precision fp16 is for GPUs; on a CPU use bf16 or fp32")
    chosen = torch.device("cuda" if on_cuda else "cpu")
    if on_cuda:
        _take_gpu(number)
    found, why = (precision, "") if precision != "auto" else _best_precision(on_cuda)
    name = torch.cuda.get_device_name(chosen) if on_cuda else f"CPU, {torch.get_num_threads()} threads"
    return Device(chosen, found, f"{name}, {found}{why}")


def _take_gpu(number: int) -> None:
    count = torch.cuda.device_count()
    if number >= count:
        raise CommandError(f"each process needs a GPU of its own and there are {count} here: --nproc-per-node {count}")
    torch.cuda.set_device(number)


def _best_precision(on_cuda: bool) -> tuple[Literal["fp32", "bf16", "fp16"], str]:
    """And why it is no faster one."""
    if on_cuda:
        return ("bf16", "") if torch.cuda.is_bf16_supported(including_emulation=False) else ("fp16", "")
    return ("bf16", "") if _cpu_has_bf16() else ("fp32", " (bf16 is off: this processor has no bf16 instructions)")


def _cpu_has_bf16() -> bool:
    """AVX512_BF16 or AMX; without them bf16 is emulated and slower than fp32."""
    capabilities = torch.cpu.get_capabilities() if hasattr(torch.cpu, "get_capabilities") else {}
    return bool(capabilities.get("avx512_bf16") or capabilities.get("amx_bf16"))
