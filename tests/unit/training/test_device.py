"""Where and in which precision."""

import pytest
import torch

from clips.errors import CommandError
from training.device import Precision, choose_device


@pytest.mark.parametrize(("precision", "dtype"), [("fp32", torch.float32), ("bf16", torch.bfloat16)])
def test_the_precision_that_is_asked_for_is_computed_in(precision: Precision, dtype: torch.dtype) -> None:
    device = choose_device("cpu", precision)
    with device.autocast():
        assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype == dtype
    assert not device.scaler().is_enabled()


def test_half_precision_without_range_is_refused_on_a_cpu() -> None:
    with pytest.raises(CommandError, match="--precision fp16 is for GPUs; on a CPU use bf16 or fp32"):
        choose_device("cpu", "fp16")


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU here")
def test_a_gpu_that_is_not_there_is_named() -> None:
    with pytest.raises(CommandError, match="torch sees no CUDA device here"):
        choose_device("cuda")


def test_the_choice_is_told() -> None:
    assert choose_device("cpu", "fp32").note.endswith("fp32")
    assert choose_device("cpu").precision in {"fp32", "bf16"}
