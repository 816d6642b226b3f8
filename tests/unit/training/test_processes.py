"""Two processes of one run, which find each other as torchrun lets them: what they agree on, and what they train."""

import io
import multiprocessing
import os
import socket
from collections.abc import Callable, Mapping
from concurrent.futures import ProcessPoolExecutor
from contextlib import redirect_stdout
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

import clipserve
from clips.errors import CommandError, UsageError
from tests.stop_after import StopAfter
from tests.tagged_clips import write_tagged_clips
from training.checkpoint import Checkpoint
from training.config import TrainingConfig
from training.interruption import Interruption
from training.presets import resolve_config
from training.processes import ALONE, Processes, joined
from training.replica import Replica
from training.run_folder import RunFolder
from training.train import train


@pytest.mark.parametrize(("count", "size"), [(7, 3), (2, 4), (0, 2), (16, 4), (1, 1)])
def test_shares_are_all_there_is_in_order_and_about_even(count: int, size: int) -> None:
    shares = [Processes(rank, size).share(count) for rank in range(size)]
    assert [item for share in shares for item in share] == list(range(count))
    assert max(map(len, shares)) - min(map(len, shares)) <= 1


@pytest.mark.parametrize("command", ["pretrain", "distill"])
def test_what_one_process_does_is_refused_where_several_were_started(
    command: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "none")
    monkeypatch.setenv("WORLD_SIZE", "2")
    assert clipserve.main([command, "videos", "--name", "x"]) == 2
    assert f"clipserve {command} runs in one process; start it without torchrun" in capsys.readouterr().err


def test_without_torchrun_a_process_is_alone() -> None:
    with joined() as processes:
        assert processes == ALONE
    assert processes.from_first(lambda: 1) == processes.together(lambda: 1) == processes.on_each_machine(lambda: 1, "") == 1
    assert processes.anywhere(True)
    assert not processes.anywhere(False)


Job = Callable[[Processes, Path], dict[str, Any]]


def in_two_processes(job: Job, folder: Path) -> list[dict[str, Any]]:
    """What ``job`` returns in each."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with ProcessPoolExecutor(2, mp_context=multiprocessing.get_context("spawn")) as pool:
        members = [pool.submit(_member, rank, port, job, folder) for rank in range(2)]
        return [member.result(timeout=200) for member in members]


def _member(rank: int, port: int, job: Job, folder: Path) -> dict[str, Any]:
    os.environ |= {"TORCHELASTIC_RUN_ID": "test", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "WORLD_SIZE": "2"}
    os.environ |= {"RANK": str(rank), "LOCAL_RANK": str(rank), "GROUP_RANK": "0", "LOCAL_WORLD_SIZE": "2"}
    torch.set_num_threads(1)
    with joined() as processes:
        return job(processes, folder)


def raised(function: Callable[[], object]) -> str:
    try:
        function()
    except (CommandError, KeyboardInterrupt, SystemExit) as problem:
        return repr(problem)
    return "nothing"


def fail(problem: BaseException) -> None:
    raise problem


def agreements(processes: Processes, _: Path) -> dict[str, Any]:
    rank, cpu = processes.rank, torch.device("cpu")
    averaged = [torch.full((2,), float(rank)), torch.tensor(4.0 * rank)]
    processes.average(averaged)
    unlucky = UsageError("no GPU")
    apart = replace(processes, local_rank=0, machine=rank)
    return {
        "sums": processes.sums(rank + 1, 0.5),
        "anywhere": (processes.anywhere(rank == 1), processes.anywhere(False)),
        "average": [tensor.tolist() for tensor in averaged],
        "concatenated": processes.concatenated([torch.arange(3), torch.arange(2)] if rank else [], cpu).tolist(),
        "in order": processes.concatenated([torch.full((rank + 1, 1), rank)], cpu).ravel().tolist(),
        "from first": processes.from_first(lambda: f"of {rank}"),
        "together": processes.together(lambda: f"of {rank}"),
        "one machine": processes.on_each_machine(lambda: f"of {rank}", "this"),
        "two machines": apart.on_each_machine(lambda: "the same", "this"),
        "the first fails": raised(lambda: processes.from_first(lambda: fail(CommandError("no")))),
        "the second fails": raised(lambda: processes.together(lambda: fail(unlucky) if rank else None)),
        "both fail": raised(lambda: processes.together(lambda: fail(CommandError(f"of {rank}")))),
        "one is stopped": raised(lambda: processes.together(lambda: fail(KeyboardInterrupt()) if rank else None)),
        "machines differ": raised(lambda: apart.on_each_machine(lambda: rank, "files")),
        **gradients(processes),
    }


def gradients(processes: Processes) -> dict[str, Any]:
    """Of 1 x and 3 x, alone and after a batch of 10 x that is part of the same step."""
    model = torch.nn.Linear(1, 1, bias=False)
    replica = Replica(model, lambda inputs: (inputs, model(inputs).sum()), processes)
    found = []
    for batches in ([1.0 + 2 * processes.rank], [10.0, 1.0 + 2 * processes.rank]):
        model.zero_grad()
        for number, batch in enumerate(batches, start=1):
            with replica.accumulating(ends=number == len(batches)):
                replica(torch.tensor([[batch]]))[1].backward()
        found.append(model.weight.grad.item())
    return {"gradients": found}


def test_they_agree_and_an_error_is_told_once(tmp_path: Path) -> None:
    first, second = in_two_processes(agreements, tmp_path)
    both = {
        "sums": [3, 1],
        "anywhere": (True, False),
        "average": [[0.5, 0.5], 2.0],
        "concatenated": [0, 1, 2, 0, 1],
        "in order": [0, 1, 1],
        "from first": "of 0",
        "one machine": "of 0",
        "two machines": "the same",
        "one is stopped": "KeyboardInterrupt()",
        "gradients": [2, 12],
    }
    assert {key: first[key] for key in both} == both
    assert {key: second[key] for key in both} == both
    assert (first["together"], second["together"]) == ("of 0", "of 1")
    assert (first["the first fails"], second["the first fails"]) == ("CommandError('no')", "SystemExit(1)")
    assert (first["the second fails"], second["the second fails"]) == ("SystemExit(2)", "UsageError('no GPU')")
    assert (first["both fail"], second["both fail"]) == ("CommandError('of 0')", "SystemExit(1)")
    assert "the machines differ in files" in first["machines differ"]
    assert second["machines differ"] == "SystemExit(1)"


def whole_and_cut(processes: Processes, folder: Path) -> dict[str, Any]:
    """A run from end to end, and one that the second process is told to stop in the middle of an epoch."""
    changes = {"name": "m", "dataset": str(folder / "clips"), "weights": "none", "workers": 0, "precision": "fp32", "size": 32}
    changes |= {"backbone": "resnet18", "num_frames": 2, "frame_choices": 2, "batch_size": 3, "epochs": 2, "ema_decay": 0.5}
    config, runs = resolve_config("finetune", {**changes, "batch_norm": "trained", "dropout": 0.5, "device": "cpu"}), folder
    whole = train(config, None, runs, Interruption(), processes)
    stopped = raised(lambda: train(config, None, runs, StopAfter(3 if processes.rank else 1000), processes))
    processes.together(lambda: None)  # the first has written the file
    cut, config = RunFolder.open(runs / "m" / "2")
    steps = processes.together(lambda: Checkpoint.load(cut.last).training["tally"]["steps"])
    train(config, cut, runs, Interruption(), processes)
    first, second = (Checkpoint.load(run.last) for run in (whole, cut))
    own = first.training["own_weights"], second.training["own_weights"]
    return {"stopped": stopped, "steps": steps, "average": equal(first.model, second.model), "own": equal(*own)}


def equal(first: Mapping[str, torch.Tensor], second: Mapping[str, torch.Tensor]) -> bool:
    return all(torch.equal(value, second[key]) for key, value in first.items())


def test_a_signal_to_one_stops_all_after_the_same_step_and_they_go_on_to_the_same_end(make_clips, tmp_path: Path) -> None:
    """Bit for bit, with statistics of batch norm that each process learns from its share, and dropout."""
    make_clips({"red": 4, "green": 4})
    for found in in_two_processes(whole_and_cut, tmp_path):
        assert found == {"stopped": "KeyboardInterrupt()", "steps": 1, "average": True, "own": True}
    assert not list(tmp_path.glob("m/*/frames*")), "decoded frames are removed"
    for file in tmp_path.glob("m/*/*.pt"):
        file.unlink()


def heads(processes: Processes, folder: Path) -> dict[str, Any]:
    """A head that is trained by one process, then by two while the cache of features is filled, filled up and full."""
    changes = {"name": "m", "dataset": str(folder / "clips"), "weights": "none", "workers": 0, "precision": "fp32", "size": 32}
    changes |= {
        "backbone": "resnet18",
        "num_frames": 2,
        "frame_choices": 2,
        "batch_size": 3,
        "device": "cpu",
        "temporal": "lstm",
    }
    config = resolve_config("finetune", {**changes, "temporal_width": 64, "epochs": 0, "head_epochs": 2, "head_views": 2})
    alone = processes.from_first(lambda: trained_weights(config, folder, ALONE))
    cached, found = config.model_copy(update={"feature_cache": str(folder / "cache")}), {}
    for state in ("empty", "three are gone", "full"):
        if processes.is_first and state == "three are gone":
            for entry in sorted(folder.glob("cache/*/*"))[::4][:3]:
                entry.unlink()
        told = io.StringIO()
        with redirect_stdout(told):
            same = equal(alone, trained_weights(cached, folder, processes))
        lines = [line for line in told.getvalue().splitlines() if "cache" in line and str(folder) not in line]
        counts = [line.partition(": ")[2].partition(";")[0] for line in told.getvalue().splitlines() if "feature cache" in line]
        found[state] = (same, counts, lines)
    return found


def trained_weights(config: TrainingConfig, runs: Path, processes: Processes) -> Mapping[str, torch.Tensor]:
    run = train(config, None, runs, Interruption(), processes)
    return processes.from_first(lambda: Checkpoint.load(run.last).model)


def test_features_are_computed_in_shares_and_kept_by_the_first(make_clips, tmp_path: Path) -> None:
    """Bit for bit what one process computes, of which each entry is made once."""
    make_clips({"red": 5, "green": 5})
    first, second = in_two_processes(heads, tmp_path)
    views = 2 * 8 + 2
    not_decoded = "training clips are not decoded: their features are in the cache"
    assert first == {
        "empty": (True, [f"0 found, {views} computed"], []),
        "three are gone": (True, [f"{views - 3} found, 3 computed"], []),
        "full": (True, [f"{views} found, 0 computed"], [not_decoded]),
    }
    assert second == {"empty": (True, [], []), "three are gone": (True, [], []), "full": (True, [], [not_decoded])}
    for file in tmp_path.glob("m/*/*.pt"):
        file.unlink()


def tags(processes: Processes, folder: Path) -> dict[str, Any]:
    """What is told of an epoch that two processes train, and that one trains."""
    changes = {"name": "m", "task": "multi_label", "dataset": str(folder / "clips.csv"), "weights": "none", "workers": 0}
    changes |= {"backbone": "resnet18", "num_frames": 1, "frame_choices": 1, "batch_size": 3, "size": 32, "epochs": 1}
    changes |= {"precision": "fp32", "device": "cpu", "batch_norm": "frozen", "dropout": 0.0, "ema_decay": 0.0}
    config = resolve_config("finetune", changes)
    found = {}
    for number, sharers in enumerate((ALONE, processes), start=1):
        if sharers.size > 1 or processes.is_first:
            train(config, None, folder, Interruption(), sharers)
        best = processes.from_first(lambda number=number: Checkpoint.load(folder / "m" / str(number) / "best.pt"))
        found[sharers.size] = [*best.metrics.values(), *(best.thresholds or ())]
    return found


def test_tags_of_clips_that_two_processes_share_are_measured_as_those_of_one(tmp_path: Path) -> None:
    write_tagged_clips(tmp_path, repeats=2)
    for found in in_two_processes(tags, tmp_path):
        assert len(found[1]) == 5 + 3, "figures and thresholds"
        assert found[2] == pytest.approx(found[1], abs=1e-5)
    for file in tmp_path.glob("m/*/*.pt"):
        file.unlink()
