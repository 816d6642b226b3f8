"""A moving average of the weights: what is validated and kept in place of the last, noisy step."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor, nn


class MovingAverage:
    """Exponential moving average of all weights and statistics.

    Source: Polyak and Juditsky, 1992; the ramp of the decay is TensorFlow's.
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        """Begin with the model's weights; ``decay`` is per step."""
        self._decay = decay
        self.steps = 0
        self._state = _copy(model)

    @torch.no_grad()
    def update(self, model: nn.Module) -> None:
        """Take one step towards the model's weights; early steps are larger, so that a short run forgets its start."""
        self.steps += 1
        decay = min(self._decay, (1 + self.steps) / (10 + self.steps))
        for key, value in model.state_dict().items():
            if value.is_floating_point():
                self._state[key].lerp_(value, 1 - decay)
            else:
                self._state[key].copy_(value)

    @contextmanager
    def applied(self, model: nn.Module) -> Iterator[dict[str, Tensor]]:
        """The model has the averaged weights inside, and its own, which are handed out, again afterwards."""
        own = _copy(model)
        model.load_state_dict(self._state)
        try:
            yield own
        finally:
            model.load_state_dict(own)

    def restore(self, state: Mapping[str, Tensor], steps: int) -> None:
        """Continue an average that was saved."""
        self.steps = steps
        for key, value in state.items():
            self._state[key].copy_(value)


def _copy(model: nn.Module) -> dict[str, Tensor]:
    return {key: value.detach().clone() for key, value in model.state_dict().items()}
