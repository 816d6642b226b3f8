"""Which weights learn how fast."""

import pytest
import torch
from torch import nn

from training.model import VideoClassifier
from training.moving_average import MovingAverage
from training.optimiser import Schedule, freeze, frozen_stages, main_optimiser
from training.presets import resolve_config


@pytest.fixture(scope="module")
def model() -> VideoClassifier:
    return VideoClassifier(3)


def test_deeper_stages_learn_slower_and_frozen_ones_not_at_all(model: VideoClassifier) -> None:
    config = resolve_config("finetune", {"name": "m", "dataset": "d", "learning_rate": 1.0, "stage_decay": 0.5})
    freeze(model, 2)
    optimiser = main_optimiser(model, config)
    rates = {id(parameter): group["lr"] for group in optimiser.param_groups for parameter in group["params"]}
    stages = ("head", "layer4", "layer3", "layer2")
    assert [rates[id(model.stage_parameters(stage)[0])] for stage in stages] == [1.0, 0.5, 0.25, 0.125]
    assert not any(parameter.requires_grad or id(parameter) in rates for parameter in model.stage_parameters("layer1"))


def test_only_weights_of_convolutions_and_linear_layers_decay(model: VideoClassifier) -> None:
    freeze(model, 0)
    optimiser = main_optimiser(model, resolve_config("finetune", {"name": "m", "dataset": "d"}))
    for group in optimiser.param_groups:
        assert all((group["weight_decay"] > 0) == (parameter.ndim > 1) for parameter in group["params"])


def test_the_rate_rises_and_then_falls_to_nothing() -> None:
    optimiser = torch.optim.SGD([{"params": [nn.Parameter(torch.zeros(1))], "peak_lr": 2.0}], lr=2.0)
    schedule = Schedule(optimiser, steps=10, warmup_steps=4)
    factors = [schedule.factor(step) for step in range(11)]
    assert factors[:5] == pytest.approx([0.2, 0.4, 0.6, 0.8, 1.0])
    assert factors[4:] == sorted(factors[4:], reverse=True)
    assert factors[10] == pytest.approx(0)
    schedule.set(1)
    assert optimiser.param_groups[0]["lr"] == pytest.approx(0.8)


def test_the_rate_falls_in_steps_or_not_at_all() -> None:
    optimiser = torch.optim.SGD([{"params": [nn.Parameter(torch.zeros(1))], "peak_lr": 2.0}], lr=2.0)
    stepped = Schedule(optimiser, steps=10, warmup_steps=1, shape="step")
    assert [stepped.factor(step) for step in range(10)] == pytest.approx([0.5, 1, 1, 1, 0.1, 0.1, 0.1, 0.1, 0.01, 0.01])
    constant = Schedule(optimiser, steps=10, warmup_steps=0, shape="constant")
    assert {constant.factor(step) for step in range(10)} == {1.0}


def test_the_rate_falls_with_the_time_where_that_passes_faster_than_the_steps() -> None:
    optimiser = torch.optim.SGD([{"params": [nn.Parameter(torch.zeros(1))], "peak_lr": 2.0}], lr=2.0)
    schedule = Schedule(optimiser, steps=100, warmup_steps=0)
    assert schedule.factor(10, time_share=0.5) == schedule.factor(50)
    assert schedule.factor(80, time_share=0.5) == schedule.factor(80)
    assert schedule.factor(10, time_share=1.0) == pytest.approx(0)


def test_stages_are_unfrozen_one_by_one_from_the_head_down() -> None:
    config = resolve_config("finetune", {"name": "m", "dataset": "d", "unfreeze_epochs": 2, "frozen_stages": 3})
    assert [frozen_stages(config, epoch) for epoch in range(6)] == [5, 5, 4, 4, 3, 3]
    at_once = resolve_config("finetune", {"name": "m", "dataset": "d", "frozen_stages": 3})
    assert [frozen_stages(at_once, epoch) for epoch in range(3)] == [3, 3, 3]


def test_the_moving_average_is_lent_to_the_model_and_taken_back() -> None:
    layer = nn.Linear(1, 1, bias=False)
    nn.init.constant_(layer.weight, 0.0)
    average = MovingAverage(layer, decay=0.5)
    nn.init.constant_(layer.weight, 8.0)
    average.update(layer)
    with average.applied(layer):
        assert layer.weight.item() == pytest.approx(8 * (1 - 2 / 11))
    assert layer.weight.item() == 8.0
