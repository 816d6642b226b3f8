"""What is asked of the sandbox, and what it gives."""

from dataclasses import asdict, dataclass
from typing import Literal

SandboxMode = Literal["auto", "required", "off"]


@dataclass(frozen=True)
class SandboxPolicy:
    """How far a decode process is held back."""

    mode: SandboxMode = "auto"
    """``auto``: with all that the kernel has. ``required``: not at all unless with everything. ``off``: nothing holds it."""
    cpu_seconds: int = 8
    """Processor time of one video."""
    memory_bytes: int = 1200 * 2**20
    """Address space of one process: Python and FFmpeg (220 MiB), the mapped video and all that decoding allocates."""


@dataclass(frozen=True)
class Protections:
    """What holds a decode process back. Each was tried from the inside once it was on, not assumed."""

    rlimits: bool = False
    """Memory, processor time, descriptors, and no writing to files."""
    no_new_privs: bool = False
    """No program could ever run with more rights."""
    landlock_abi: int = 0
    """No file by its name, no TCP port, no signal to other processes; 0 where the kernel has no Landlock."""
    seccomp: bool = False
    """No system call outside a short list: no file, no socket, no process."""

    def missing(self) -> list[str]:
        """Names of the protections that are not on."""
        return [name for name, on in asdict(self).items() if not on]
