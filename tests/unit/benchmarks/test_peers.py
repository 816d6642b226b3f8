"""What the comparison with other servers rests on: the gate, the decoders, the process tree."""

import json
import subprocess
import sys

import numpy as np
import pytest

from benchmarks.load import Reply
from benchmarks.peers.contestants import CONTESTANTS, OURS
from benchmarks.peers.decoders import Decode, with_clips, with_pyav, with_pyav_threads
from benchmarks.peers.field import WrongAnswers, check
from benchmarks.peers.ideal import ideal_latencies
from benchmarks.peers.task import Task
from benchmarks.process_tree import process_tree, resident_mib
from benchmarks.videos import generated_video
from clips import ClipSpec

LABELS = ["a", "b"]
EXPECTED = [0.25, 0.75]
[ours] = [contestant for contestant in CONTESTANTS if contestant.name == OURS]
[theirs] = [contestant for contestant in CONTESTANTS if contestant.name == "mosec"]


def answer(probabilities: list[float]) -> Reply:
    return Reply(200, 0.1, json.dumps({"label": "b", "probabilities": probabilities}).encode())


def test_the_gate_lets_the_models_own_probabilities_pass() -> None:
    check(theirs, answer([0.250001, 0.749999]), LABELS, EXPECTED)


@pytest.mark.parametrize("reply", [answer([0.2501, 0.7499]), answer([0.25]), Reply(503, 0.1), Reply(200, 0.1, b"{}")])
def test_the_gate_refuses_everything_else(reply: Reply) -> None:
    with pytest.raises(WrongAnswers):
        check(theirs, reply, LABELS, EXPECTED)


def test_in_the_ideal_queue_the_first_free_processor_takes_the_next_arrival() -> None:
    assert ideal_latencies([0.0, 1.0, 2.0, 3.0, 30.0], 2, 10.0) == [10.0, 10.0, 18.0, 18.0, 10.0]


def test_our_answers_are_put_into_the_order_of_the_labels() -> None:
    body = {"predictions": [{"label": "b", "probability": 0.75}, {"label": "a", "probability": 0.25}]}
    check(ours, Reply(200, 0.1, json.dumps(body).encode()), LABELS, EXPECTED)


def test_a_task_reaches_a_peer_through_its_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    task = Task("models/exercise10/1", port=8000, limit=16)
    for name, value in task.environment.items():
        monkeypatch.setenv(name, value)
    assert Task.from_environment() == task


@pytest.mark.parametrize("decode", [with_pyav, with_pyav_threads])
def test_the_decoders_of_peers_take_about_the_frames_that_ours_takes(decode: Decode) -> None:
    spec = ClipSpec(height=112, width=112, fit="stretch")
    video = generated_video(0, seconds=2)
    theirs, ours = decode(video, spec).astype(int), with_clips(video, spec).astype(int)
    assert theirs.shape == ours.shape
    near, far = np.abs(theirs - ours).mean(), np.abs(theirs - np.roll(ours, 1, axis=0)).mean()
    assert near < far / 4


def test_the_process_tree_holds_grandchildren() -> None:
    code = "import subprocess, sys; subprocess.run([sys.executable, '-c', 'print(1, flush=True); input()'])"
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin
        assert process.stdout
        assert process.stdout.readline()
        tree = process_tree(process.pid)
        assert len(tree) == 2
        assert tree[0] == process.pid
        assert resident_mib(process.pid) > 0
        process.stdin.close()
