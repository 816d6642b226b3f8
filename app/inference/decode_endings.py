"""Why a decode process ended, and what the sender of its video and the operator are told."""

from typing import Literal

from app.inference.sandbox.policy import SandboxPolicy
from clips import DecodeFailed

EndReason = Literal["died", "cpu", "memory", "timeout", "abandoned", "fault", "misbehaved", "recycled", "start", "closed"]
"""Of itself: ``died`` (a crash, or somebody's SIGKILL), ``cpu`` (its processor time was up). Killed by the server: ``memory``
(it ran out of it), ``timeout``, ``abandoned`` (its caller left), ``fault`` (an exception that nobody foresaw), ``misbehaved``
(it said what it should not), ``recycled`` (after enough videos), ``start`` (it did not get ready), ``closed`` (at the end).
"""

ALLOWS_MORE: dict[EndReason, str] = {
    "cpu": "CLIPSERVE_DECODE_CPU_SECONDS",
    "memory": "CLIPSERVE_DECODE_MEMORY_BYTES",
    "timeout": "CLIPSERVE_DECODE_TIMEOUT_SECONDS",
}
"""For the operator: the setting to raise."""


class WorkerEnded(Exception):
    """The process is gone, and with it what it was asked for."""

    def __init__(self, reason: EndReason) -> None:
        self.reason: EndReason = reason
        super().__init__(reason)


def failure(reason: EndReason, timeout_seconds: float, sandbox: SandboxPolicy) -> DecodeFailed:
    """What the sender is told."""
    match reason:
        case "timeout":
            cause = f"took longer than {timeout_seconds:g} s"
        case "cpu":
            cause = f"needed more than {sandbox.cpu_seconds} s of processor time"
        case "memory":
            cause = f"needed more memory than the {sandbox.memory_bytes // 2**20} MiB that a video may take"
        case _:
            return DecodeFailed("The video stopped the decoder; send it re-encoded as H.264 in MP4.")
    return DecodeFailed(f"Decoding {cause}; send a shorter or smaller video.")
