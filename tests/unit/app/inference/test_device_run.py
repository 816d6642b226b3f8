"""The path of a GPU, tried on the CPU: same buffers, same buckets, other device."""

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from app.inference.batch_sizes import batch_buckets
from app.inference.device_run import DeviceRun
from app.inference.provider_options import GpuOptions, provider_chain
from app.inference.session import Session, SessionOptions
from tests.colour_model import LABELS, SPEC, colour_graph

MAX_BATCH_SIZE = 6


def clips(count: int) -> NDArray[np.uint8]:
    return np.random.default_rng(count).integers(0, 256, (count, *SPEC.shape), np.uint8)


@pytest.fixture(scope="module")
def session() -> Session:
    return Session(colour_graph().SerializeToString(), SPEC.shape, len(LABELS), "cpu", SessionOptions(1, MAX_BATCH_SIZE))


@pytest.fixture
def device_run(session: Session) -> DeviceRun:
    raw: Any = session._session
    return DeviceRun(raw, SPEC.shape, batch_buckets(MAX_BATCH_SIZE), run_options=lambda _size: None, device="cpu")


@pytest.mark.parametrize("count", range(1, MAX_BATCH_SIZE + 1))
def test_every_batch_gives_what_a_plain_run_gives(session: Session, device_run: DeviceRun, count: int) -> None:
    rows = device_run(list(clips(count)))
    assert rows.shape == (count, len(LABELS))
    assert np.abs(rows - session.run(list(clips(count)))).max() <= 1e-6


def test_nothing_of_an_earlier_batch_is_left_in_a_later_one(session: Session, device_run: DeviceRun) -> None:
    first = device_run(list(clips(4)))
    kept = first.copy()
    second = device_run(list(clips(3)))
    assert np.array_equal(first, kept), "the rows of a batch are its own"
    assert np.abs(second - session.run(list(clips(3)))).max() <= 1e-6


def test_after_its_end_nothing_is_held(session: Session) -> None:
    raw: Any = session._session
    run = DeviceRun(raw, SPEC.shape, [2, 1], run_options=lambda _size: None, device="cpu")
    run(list(clips(2)))
    run.close()
    assert not run._buckets
    assert not hasattr(run, "_host")


def test_a_first_run_that_fails_is_a_first_run_again(session: Session) -> None:
    """What was not recorded must be, with nobody else at the device."""
    raw: Any = session._session
    fails = [True]

    def run_options(_size: int) -> None:
        if fails:
            raise MemoryError

    run = DeviceRun(raw, SPEC.shape, [2, 1], run_options, device="cpu")
    with pytest.raises(MemoryError):
        run(list(clips(2)))
    assert not run._buckets
    fails.clear()
    assert run(list(clips(2))).shape == (2, len(LABELS))
    run.close()


def test_buckets_are_few_and_waste_no_more_than_a_third() -> None:
    assert batch_buckets(1) == [1]
    assert batch_buckets(8) == [8, 6, 4, 3, 2, 1]
    assert batch_buckets(10) == [10, 8, 6, 4, 3, 2, 1]
    buckets = [min(bucket for bucket in batch_buckets(32) if bucket >= size) for size in range(1, 33)]
    assert all(size > bucket * 2 / 3 - 1 for size, bucket in enumerate(buckets, 1))


def test_cuda_without_graphs_sees_one_size() -> None:
    """A size that changes costs more there than a batch that is filled up."""
    assert GpuOptions().batch_buckets("cuda", 4) == [4, 3, 2, 1]
    assert GpuOptions(cuda_graphs="off").batch_buckets("cuda", 4) == [4]
    assert GpuOptions(cuda_graphs="off").batch_buckets("tensorrt", 4) == [4, 3, 2, 1]


def test_cuda_searches_convolutions_by_heuristics_and_takes_no_more_memory_than_allowed() -> None:
    gpu = GpuOptions(memory_bytes=2**30)
    [(name, options)] = provider_chain("cuda", SPEC.shape, 8, gpu, "ab" * 32)
    assert name == "CUDAExecutionProvider"
    assert options["cudnn_conv_algo_search"] == "HEURISTIC"
    assert options["arena_extend_strategy"] == "kSameAsRequested"
    assert options["gpu_mem_limit"] == str(2**30)
    assert options["enable_cuda_graph"] == "1"
    assert options["use_tf32"] == "0"
    [(_, options)] = provider_chain("cuda", SPEC.shape, 8, GpuOptions(cuda_graphs="off", tf32=True), "ab" * 32)
    assert "enable_cuda_graph" not in options
    assert options["use_tf32"] == "1"


def test_tensorrt_has_one_profile_for_all_sizes_its_caches_and_cuda_behind_it() -> None:
    chain = provider_chain("tensorrt", SPEC.shape, 8, GpuOptions(cache_folder="/cache"), "ab" * 32)
    assert [name for name, _ in chain] == ["TensorrtExecutionProvider", "CUDAExecutionProvider"]
    assert chain[1][1]["use_tf32"] == "0"
    with_tf32 = provider_chain("tensorrt", SPEC.shape, 8, GpuOptions(tf32=True), "ab" * 32)
    assert with_tf32[1][1]["use_tf32"] == "1"
    assert "enable_cuda_graph" not in with_tf32[1][1]
    options = chain[0][1]
    assert options["trt_profile_min_shapes"] == "clips:1x4x32x32x3"
    assert options["trt_profile_max_shapes"] == "clips:8x4x32x32x3"
    assert options["trt_engine_cache_path"] == options["trt_timing_cache_path"] == "/cache"
    assert options["trt_engine_cache_prefix"] == "ab" * 8


def test_the_cpu_is_told_nothing() -> None:
    assert provider_chain("cpu", SPEC.shape, 8, GpuOptions(), "") == [("CPUExecutionProvider", {})]
