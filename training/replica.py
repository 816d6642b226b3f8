"""The model of one of several processes: gradients are averaged over all while they are computed."""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from training.processes import Processes

Compute = Callable[..., tuple[Tensor, Tensor]]


class Replica:
    """A computation with a model, in all ``processes`` alike. Made anew where other parameters are trained.

    Source: DistributedDataParallel, arXiv:2006.15704.
    """

    def __init__(self, model: nn.Module, compute: Compute, processes: Processes) -> None:
        """``compute`` returns logits and loss, and uses ``model`` in whatever way; all begin with the weights of the first."""
        self._parallel: DistributedDataParallel | None = None
        self._compute = compute
        if processes.size > 1:
            self._parallel = DistributedDataParallel(_Computation(model, compute))

    def __call__(self, *inputs: Any) -> tuple[Tensor, Tensor]:
        """Logits and loss; with ``backward`` of it gradients become their mean over the processes."""
        logits, loss = self._parallel(*inputs) if self._parallel else self._compute(*inputs)
        return logits, loss

    def accumulating(self, *, ends: bool) -> AbstractContextManager[None]:
        """For forward and backward of one batch: gradients stay here until the one that ``ends`` the step."""
        return nullcontext() if ends or self._parallel is None else self._parallel.no_sync()


class _Computation(nn.Module):
    """What is computed with a model, as a module: DDP has to see where it begins and what comes out of it."""

    def __init__(self, model: nn.Module, compute: Compute) -> None:
        super().__init__()
        self.model = model
        self._compute = compute

    def forward(self, *inputs: Any) -> tuple[Tensor, Tensor]:
        """Logits and loss."""
        return self._compute(*inputs)
