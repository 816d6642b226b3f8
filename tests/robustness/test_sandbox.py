"""A decode process that a video took over: what it can reach (nothing), what it can use up (its share), and who notices."""

import ast
import asyncio
import json
import resource
import subprocess
import sys
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from app.inference import decode_worker
from app.inference.decode_policy import DecodePolicy
from app.inference.decoder import Decoder, WorkerDidNotStart
from app.inference.sandbox import landlock
from app.inference.sandbox.kernel import machine
from app.inference.sandbox.policy import Protections, SandboxPolicy
from app.inference.video_file import VideoFile
from app.observability import metrics
from clips import Clip, ClipSpec, DecodeFailed, DecodeLimits, load_clip
from tests.colour_model import publish
from tests.live_server import LiveServer, environment, running_server
from tests.robustness.hostile_process import ATTEMPTS, ONLY_REFUSED
from tests.robustness.workers import decode_processes, locked_in_processes
from tests.videos import Encoding, numbered_video

SPEC = ClipSpec(num_frames=4, height=32, width=32)
VIDEO = numbered_video()
PROCESSES = 2
SANDBOX = SandboxPolicy(cpu_seconds=1, memory_bytes=600 * 2**20)
HOSTILE, WEAK = "tests.robustness.hostile_process", "tests.robustness.weak_process"

needs_linux = pytest.mark.skipif(machine() is None, reason="seccomp is for Linux on x86_64 and aarch64")
needs_landlock = pytest.mark.skipif(not landlock.available_abi(), reason="this kernel has no Landlock")

RunTest = Callable[[Callable[[Decoder], Awaitable[None]]], None]


async def decode(decoder: Decoder, video: bytes = VIDEO) -> Clip:
    with VideoFile.of(video) as file:
        return await decoder.decode(file, SPEC)


async def told(decoder: Decoder, order: str) -> str:
    """What a process answers that was told to do something hostile."""
    with pytest.raises(DecodeFailed) as refusal:
        await decode(decoder, b"DO " + order.encode())
    return str(refusal.value)


def worker_pids(decoder: Decoder) -> set[int]:
    return {worker.pid for worker in decoder._workers}


def proc(pid: int, name: str) -> str:
    return Path(f"/proc/{pid}/{name}").read_text()


def open_files(pid: int) -> set[str]:
    """What they are, without their numbers."""
    return {str(path.readlink()).split(":")[0] for path in Path(f"/proc/{pid}/fd").iterdir()}


def replaced(reason: str) -> float:
    lines = metrics.exposition()[0].decode().splitlines()
    sample = f'clipserve_decode_workers_replaced_total{{reason="{reason}"}}'
    return next((float(line.split()[-1]) for line in lines if line.startswith(sample)), 0.0)


def decoders(policy: DecodePolicy, program: str) -> Iterator[RunTest]:
    """Run async tests with a decoder of one process that runs ``program``."""
    with pytest.MonkeyPatch.context() as patch, asyncio.Runner() as runner:
        patch.setattr(decode_worker, "PROGRAM", program)
        decoder = Decoder(policy)
        runner.run(decoder.start())

        async def bounded(test: Callable[[Decoder], Awaitable[None]]) -> None:
            async with asyncio.timeout(60):
                await test(decoder)

        yield lambda test: runner.run(bounded(test))
        runner.run(decoder.close())


@pytest.fixture(scope="module")
def locked_in() -> Iterator[RunTest]:
    yield from decoders(DecodePolicy(1, 30, DecodeLimits(), SANDBOX), HOSTILE)


@pytest.fixture(scope="module")
def roomy() -> Iterator[RunTest]:
    """Locked in, and with more processor time than anything takes that is not meant to use it up."""
    yield from decoders(DecodePolicy(1, 60, DecodeLimits(), replace(SANDBOX, cpu_seconds=60)), HOSTILE)


@pytest.fixture(scope="module")
def at_large() -> Iterator[RunTest]:
    yield from decoders(DecodePolicy(1, 30, DecodeLimits(), SandboxPolicy("off")), HOSTILE)


@needs_linux
@pytest.mark.parametrize("attempt", [*ATTEMPTS, *ONLY_REFUSED])
def test_a_process_that_is_locked_in_reaches_nothing(locked_in: RunTest, attempt: str) -> None:
    async def test(decoder: Decoder) -> None:
        assert await told(decoder, attempt) == "EPERM"

    locked_in(test)


@pytest.mark.parametrize("attempt", ATTEMPTS)
def test_the_same_attempt_succeeds_without_the_sandbox(at_large: RunTest, attempt: str) -> None:
    """Otherwise the test above would prove nothing."""

    async def test(decoder: Decoder) -> None:
        assert await told(decoder, attempt) == "allowed"

    at_large(test)


@needs_linux
def test_the_report_is_what_the_kernel_says(locked_in: RunTest) -> None:
    async def test(decoder: Decoder) -> None:
        assert decoder.protections
        assert decoder.protections == Protections(True, True, landlock.available_abi(), True)
        (pid,) = worker_pids(decoder)
        status = dict(line.split(":\t") for line in proc(pid, "status").splitlines() if ":\t" in line)
        assert (status["NoNewPrivs"], status["Seccomp"], status["Threads"]) == ("1", "2", "1")
        assert proc(pid, "oom_score_adj").strip() == "1000"

    locked_in(test)


def test_without_the_sandbox_the_report_says_so(at_large: RunTest) -> None:
    async def test(decoder: Decoder) -> None:
        assert decoder.protections == Protections()
        assert decoder.protections.missing() == ["rlimits", "no_new_privs", "landlock_abi", "seccomp"]

    at_large(test)


@needs_linux
def test_the_limits_are_those_of_the_policy(locked_in: RunTest) -> None:
    async def test(decoder: Decoder) -> None:
        limits = ast.literal_eval(await told(decoder, "limits"))
        soft_cpu, hard_cpu = limits.pop("RLIMIT_CPU")
        assert limits == {
            "RLIMIT_AS": (SANDBOX.memory_bytes, SANDBOX.memory_bytes),
            "RLIMIT_CORE": (0, 0),
            "RLIMIT_FSIZE": (0, 0),
            "RLIMIT_NOFILE": (32, 32),
            "RLIMIT_NPROC": (0, 0),
        }
        assert hard_cpu == resource.RLIM_INFINITY
        assert 0 < soft_cpu < 30

    locked_in(test)


def test_it_gets_nothing_of_the_servers_but_its_pipe(locked_in: RunTest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLIPSERVE_API_KEYS", "secret")

    async def test(decoder: Decoder) -> None:
        await told(decoder, "crash")  # the next process starts with the key in the server's environment
        await decode(decoder)
        (pid,) = worker_pids(decoder)
        assert {line.split("=")[0] for line in proc(pid, "environ").split("\0") if line} == {
            "PYTHONDONTWRITEBYTECODE",
            "PYTHONPATH",
            "PYTHONUTF8",
            "OPENBLAS_NUM_THREADS",
        }
        assert open_files(pid) == {"/dev/null", "socket"}

    locked_in(test)


def test_a_memory_balloon_costs_its_own_video(roomy: RunTest) -> None:
    async def test(decoder: Decoder) -> None:
        before, pids = replaced("memory"), worker_pids(decoder)
        assert "more memory than the 600 MiB" in await told(decoder, "balloon")
        assert (await decode(decoder)).frames.shape == SPEC.shape
        assert not pids & worker_pids(decoder)
        assert replaced("memory") == before + 1

    roomy(test)


def test_a_video_that_burns_processor_time_is_cut_off(locked_in: RunTest) -> None:
    async def test(decoder: Decoder) -> None:
        before = replaced("cpu")
        assert "more than 1 s of processor time" in await told(decoder, "burn")
        assert (await decode(decoder)).frames.shape == SPEC.shape
        assert replaced("cpu") == before + 1

    locked_in(test)


def test_processor_time_counts_for_each_video(locked_in: RunTest) -> None:
    async def test(decoder: Decoder) -> None:
        pids = worker_pids(decoder)
        for _ in range(5):
            assert await told(decoder, "burn-a-little") == "done"
        assert worker_pids(decoder) == pids

    locked_in(test)


@pytest.mark.parametrize(
    ("order", "reason"),
    [
        ("crash", "died"),
        ("abort", "died"),
        ("exit", "died"),
        ("hang-up", "died"),
        ("fail", "fault"),
        ("say-nonsense", "misbehaved"),
        ("say-pickle", "misbehaved"),
        ("say-too-much", "misbehaved"),
        ("say-nan", "misbehaved"),
        ("say-the-wrong-thing", "misbehaved"),
        ("say-an-unknown-refusal", "misbehaved"),
        ("say-too-few-times", "misbehaved"),
        ("say-too-many-clips", "misbehaved"),
        ("say-no-facts", "misbehaved"),
    ],
)
def test_a_process_that_breaks_the_rules_is_replaced_and_its_video_fails_alone(roomy: RunTest, order: str, reason: str) -> None:
    async def test(decoder: Decoder) -> None:
        before, pids = replaced(reason), worker_pids(decoder)
        waiting = asyncio.create_task(told(decoder, order))
        others = [asyncio.create_task(decode(decoder)) for _ in range(3)]
        assert "stopped the decoder" in await waiting
        assert [clip.frames.shape for clip in await asyncio.gather(*others)] == [SPEC.shape] * 3
        assert replaced(reason) == before + 1
        assert not pids & worker_pids(decoder)

    roomy(test)


def test_a_process_that_speaks_unasked_is_replaced_before_anyone_listens(roomy: RunTest) -> None:
    async def test(decoder: Decoder) -> None:
        before, (worker,) = replaced("misbehaved"), decoder._workers
        assert await told(decoder, "speak-again-after-the-next") == "done"
        await decode(decoder)
        while worker.is_alive:  # noqa: ASYNC110 it has no event to wait for but its own end
            await asyncio.sleep(0)
        assert (await decode(decoder)).frames.shape == SPEC.shape
        assert replaced("misbehaved") == before + 1

    roomy(test)


@needs_landlock
def test_a_protection_that_is_required_and_missing_stops_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decode_worker, "PROGRAM", WEAK)

    async def start(policy: SandboxPolicy) -> Protections | None:
        decoder = Decoder(DecodePolicy(1, 10, DecodeLimits(), policy))
        try:
            await decoder.start()
            return decoder.protections
        finally:
            await decoder.close()

    with pytest.raises(WorkerDidNotStart, match="landlock_abi") as refusal:
        asyncio.run(start(SandboxPolicy("required")))
    assert "\n" not in str(refusal.value)
    assert "CLIPSERVE_DECODE_SANDBOX" in str(refusal.value)
    assert asyncio.run(start(SandboxPolicy("auto"))) == Protections(True, True, 0, True)


@needs_landlock
def test_a_server_that_lacks_a_required_protection_ends_with_one_line(tmp_path: Path) -> None:
    publish(tmp_path / "models")
    code = (
        "import sys, clipserve; from app.inference import decode_worker; "
        f"decode_worker.PROGRAM = {WEAK!r}; sys.exit(clipserve.main(['serve']))"
    )
    result = subprocess.run(
        [sys.executable, "-c", code],
        check=False,
        env=environment(port=0, model_repository=tmp_path / "models", decode_workers=1, decode_sandbox="required"),
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert result.returncode == 1
    assert "Traceback" not in result.stderr
    assert "clipserve serve: decode processes cannot be held back by landlock_abi" in result.stderr.splitlines()[-1]


def logged(live: LiveServer, event: str) -> list[dict[str, object]]:
    lines = [json.loads(line) for line in live.log.read_text().splitlines() if line.startswith("{")]
    return [line for line in lines if line["event"] == event]


@needs_linux
@pytest.mark.parametrize(("mode", "level"), [("auto", "info"), ("off", "warning")])
def test_the_server_says_what_holds_its_decoders(tmp_path: Path, mode: str, level: str) -> None:
    publish(tmp_path / "models")
    with running_server(tmp_path / "models", tmp_path / "log", decode_sandbox=mode) as live:
        said = live.client.get("/readyz").json()["decode_protections"]
        assert said["seccomp"] is (mode == "auto")
        live.until(lambda: len(decode_processes(live.process.pid)) == PROCESSES)
        live.until(lambda: len(locked_in_processes(live.process.pid)) == (PROCESSES if mode == "auto" else 0))
        (line,) = logged(live, "decode_protections")
        assert line["level"] == (level if landlock.available_abi() else "warning")
        assert {name: line[name] for name in said} == said
        assert live.classify(VIDEO).status_code == 200


ENCODINGS = [
    Encoding("avi", "mpeg4"),
    Encoding("avi", "msmpeg4"),
    Encoding("avi", "mjpeg", "yuvj420p"),
    Encoding("mpeg", "mpeg1video"),
    Encoding("mpegts", "mpeg2video"),
    Encoding("mov", "prores_ks", "yuv422p10le"),
    Encoding("mov", "h263"),
    Encoding("flv", "flv"),
    Encoding("asf", "wmv1"),
    Encoding("asf", "wmv2"),
    Encoding("matroska", "libx264"),
    Encoding("mp4", "libx265", "yuv420p10le"),
    Encoding("webm", "libvpx"),
    Encoding("webm", "libvpx-vp9"),
    Encoding("mp4", "libsvtav1"),
]


@needs_linux
@pytest.mark.parametrize("encoding", ENCODINGS, ids=lambda encoding: encoding.codec)
def test_every_codec_decodes_behind_the_lock(locked_in: RunTest, encoding: Encoding) -> None:
    video = numbered_video(8, 176, 144, encoding)
    expected = load_clip(video, SPEC)

    async def test(decoder: Decoder) -> None:
        clip = await decode(decoder, video)
        assert np.array_equal(clip.frames, expected.frames)
        assert clip.video == expected.video

    locked_in(test)
