"""Where the network runs, and in which precision."""

from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

import torch

from clips.errors import CommandError


@dataclass(frozen=True)
class Device:
    """A processor and whether bf16 is worth using on it."""

    torch_device: torch.device
    bf16: bool
    note: str
    """One line for the user."""

    def autocast(self) -> AbstractContextManager[object]:
        """bf16 for convolutions and matrix products where the processor has it; weights stay fp32."""
        return torch.autocast(self.torch_device.type, dtype=torch.bfloat16) if self.bf16 else nullcontext()


def choose_device(device: str = "auto", precision: str = "auto") -> Device:
    """``device`` auto, cpu or cuda; ``precision`` auto, fp32 or bf16.

    Raises: CommandError: CUDA was asked for and is not there.
    """
    if device == "cuda" and not torch.cuda.is_available():
        raise CommandError("--device cuda: torch sees no CUDA device here; use --device cpu or install the driver")
    on_cuda = device == "cuda" or (device == "auto" and torch.cuda.is_available())
    chosen = torch.device("cuda" if on_cuda else "cpu")
    fast = torch.cuda.is_bf16_supported(including_emulation=False) if on_cuda else _cpu_has_bf16()
    bf16 = precision == "bf16" or (precision == "auto" and fast)
    why = "" if bf16 or precision == "fp32" else " (bf16 is off: this processor has no bf16 instructions)"
    name = torch.cuda.get_device_name(chosen) if on_cuda else f"CPU, {torch.get_num_threads()} threads"
    return Device(chosen, bf16, f"{name}, {'bf16' if bf16 else 'fp32'}{why}")


def _cpu_has_bf16() -> bool:
    """AVX512_BF16 or AMX; without them bf16 is emulated and slower than fp32."""
    capabilities = torch.cpu.get_capabilities() if hasattr(torch.cpu, "get_capabilities") else {}
    return bool(capabilities.get("avx512_bf16") or capabilities.get("amx_bf16"))
