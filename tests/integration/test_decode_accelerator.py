"""Decoding on a GPU, asked for where there may be none: never a silent fallback."""

import json
import subprocess
from pathlib import Path

import pytest

from app.settings import read_settings
from clips.acceleration import AcceleratorUnavailable, hardware
from clips.errors import UsageError
from tests.colour_model import publish
from tests.live_server import command, environment, running_server
from tests.robustness.workers import decode_processes
from tests.videos import RED, solid_video


def gpu_decodes() -> bool:
    try:
        hardware("cuda")
    except AcceleratorUnavailable:
        return False
    return True


needs_no_gpu = pytest.mark.skipif(gpu_decodes(), reason="there is a GPU; tests/gpu covers it")


@pytest.mark.parametrize("sandbox", ["auto", "required"])
def test_the_sandbox_and_the_devices_of_a_gpu_exclude_each_other(sandbox: str) -> None:
    with pytest.raises(UsageError, match="set CLIPSERVE_DECODE_SANDBOX=off too"):
        read_settings({"decode_accelerator": "auto", "decode_sandbox": sandbox})


@needs_no_gpu
def test_a_gpu_that_was_asked_for_by_name_is_not_replaced_by_the_cpu(tmp_path: Path) -> None:
    publish(tmp_path / "models")
    settings = {"port": 0, "model_repository": tmp_path / "models", "decode_accelerator": "cuda", "decode_sandbox": "off"}
    ended = subprocess.run(
        command("serve"), check=False, env=environment(**settings), capture_output=True, text=True, timeout=60
    )
    assert ended.returncode == 1
    last = ended.stderr.strip().splitlines()[-1]
    assert "CLIPSERVE_DECODE_ACCELERATOR=cuda" in last
    assert "nvidia-smi" in last


@pytest.mark.parametrize(("accelerator", "handed_on"), [("auto", True), ("none", False)])
def test_decode_processes_get_the_variables_of_cuda_where_they_may_use_a_gpu(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, accelerator: str, handed_on: bool
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "7")
    publish(tmp_path / "models")
    settings = {"decode_accelerator": accelerator, "decode_sandbox": "off", "decode_workers": 1}
    with running_server(tmp_path / "models", tmp_path / "log", **settings) as live:
        (pid,) = decode_processes(live.process.pid)
        variables = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
        assert (b"CUDA_VISIBLE_DEVICES=7" in variables) is handed_on
        assert not any(variable.startswith(b"CLIPSERVE_") for variable in variables)


@needs_no_gpu
def test_auto_says_why_the_cpu_decodes(tmp_path: Path) -> None:
    publish(tmp_path / "models")
    with running_server(tmp_path / "models", tmp_path / "log", decode_accelerator="auto", decode_sandbox="off") as live:
        ready = live.client.get("/readyz").json()
        assert ready["decode_accelerator"] == "none"
        assert "GPU" in ready["decode_accelerator_problem"]
        assert live.classify(solid_video(RED)).json()["video"]["decoded_on"] == "cpu"
        events = [json.loads(line) for line in live.log.read_text().splitlines() if line.startswith("{")]
        assert any(event["event"] == "decode_accelerator" for event in events)
