"""What decoding may cost, and how its processes are held back."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from app.inference.sandbox.policy import SandboxPolicy
from clips import DecodeLimits
from clips.acceleration import AcceleratorChoice


@dataclass(frozen=True)
class DecodePolicy:
    """How much decoding may cost."""

    workers: int
    timeout_seconds: float
    limits: DecodeLimits
    sandbox: SandboxPolicy = field(default_factory=SandboxPolicy)
    accelerator: AcceleratorChoice = "none"
    environment: Mapping[str, str] = field(default_factory=dict)
    """What the processes get of the server's environment: which GPU to use, and where its libraries are."""
    recycle_clips: int = 1000
    """Videos after which a process makes way for a fresh one."""
