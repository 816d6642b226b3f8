"""Files that refer to other files or addresses: nothing is opened and nobody is called, under whatever name they come."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.inference.sandbox.kernel import machine
from tests.colour_model import publish
from tests.live_server import LiveServer, environment, running_server
from tests.robustness.canaries import CALLED_PORT, CallCanary, FileCanary, canaries
from tests.robustness.careless import REFUSED
from tests.robustness.hostile_files import every_way
from tests.videos import MPEG2_TS, RED, solid_video

HLS = "#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:2.0,\n{target}\n#EXT-X-ENDLIST\n"
OWN_PLAYLISTS = {
    "hls-file": HLS.format(target="file://{folder}/secret.ts"),
    "hls-path": HLS.format(target="{folder}/secret.ts"),
    "hls-http": HLS.format(target=f"http://127.0.0.1:{CALLED_PORT}/x.ts"),
    "hls-master": f"#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1280000\ntcp://127.0.0.1:{CALLED_PORT}\n",
    "ffconcat-relative": "ffconcat version 1.0\nfile 'secret.ts'\n",
    "ffconcat-absolute": "ffconcat version 1.0\nfile '{folder}/secret.ts'\n",
    "sdp": "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=video 5004 RTP/AVP 96\na=rtpmap:96 H264/90000\n",
}


@pytest.fixture(scope="module")
def trap(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("trap")


@pytest.fixture(scope="module")
def armed(trap: Path) -> Iterator[tuple[FileCanary, CallCanary]]:
    with canaries(trap, solid_video(RED, encoding=MPEG2_TS)) as traps:
        yield traps


@pytest.fixture(scope="module", params=["auto", "off"], ids=lambda mode: f"sandbox-{mode}")
def server_in_trap(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, trap: Path
) -> Iterator[LiveServer]:
    """Its working directory holds the file canary, so that relative references would find it.

    Without the sandbox the allow-lists alone must do.
    """
    folder = tmp_path_factory.mktemp("trapped")
    publish(folder / "models")
    with running_server(folder / "models", folder / "log", cwd=trap, decode_sandbox=request.param) as live:
        yield live


def shared_playlists(folder: Path) -> dict[str, bytes]:
    marked = {".m3u8", ".ffconcat", ".mpd", ".sdp", ".txt", ".xml", ".mov"}
    texts = [path for path in folder.iterdir() if path.suffix in marked or path.name == "hls_disguised.mp4"]
    return {path.name: path.read_bytes() for path in texts}


def check_refused(live: LiveServer, playlist: bytes) -> None:
    for answer in every_way(live.client, playlist):
        assert answer.status_code == 415, answer.text
        assert answer.json()["code"] in {"not_a_video", "unsupported_container"}


@pytest.mark.parametrize("kind", OWN_PLAYLISTS)
def test_a_playlist_reaches_nothing(
    server_in_trap: LiveServer, trap: Path, armed: tuple[FileCanary, CallCanary], kind: str
) -> None:
    check_refused(server_in_trap, OWN_PLAYLISTS[kind].replace("{folder}", str(trap)).encode())
    assert not armed[0].opened.is_set()
    assert not armed[1].called.is_set()


def test_the_playlists_of_others_reach_nothing(
    server_in_trap: LiveServer, trap: Path, armed: tuple[FileCanary, CallCanary], shared_data: Path
) -> None:
    playlists = shared_playlists(shared_data / "hostile")
    assert len(playlists) > 20
    for playlist in playlists.values():
        check_refused(server_in_trap, playlist.replace(b"/CANARY", str(trap).encode()))
    assert not armed[0].opened.is_set()
    assert not armed[1].called.is_set()


def open_carelessly(playlist: str, folder: Path, sandbox: str) -> int:
    """Exit code of a decode process that has no allow-list and gives the demuxer the client's name."""
    return subprocess.run(
        [sys.executable, "-m", "tests.robustness.careless", sandbox],
        input=playlist.encode(),
        cwd=folder,
        env=environment() | {"OPENBLAS_NUM_THREADS": "1"},  # as a decode process has it: one thread
        check=False,
        timeout=60,
    ).returncode


def armed_playlist(kind: str, folder: Path, port: int) -> str:
    return OWN_PLAYLISTS[kind].replace("{folder}", str(folder)).replace(f":{CALLED_PORT}", f":{port}")


@pytest.mark.parametrize(("kind", "trap"), [("hls-path", 0), ("ffconcat-relative", 0), ("hls-http", 1), ("hls-master", 1)])
def test_the_traps_work_when_nothing_protects_the_decoder(tmp_path: Path, kind: str, trap: int) -> None:
    """Otherwise the tests above and below would prove nothing."""
    with canaries(tmp_path, solid_video(RED, encoding=MPEG2_TS), port=0) as (file, call):
        open_carelessly(armed_playlist(kind, tmp_path, call.port), tmp_path, "off")
        assert (file.opened, call.called)[trap].wait(60)


@pytest.mark.skipif(machine() is None, reason="seccomp is for Linux on x86_64 and aarch64")
@pytest.mark.parametrize("kind", OWN_PLAYLISTS)
def test_the_sandbox_alone_keeps_a_careless_decoder_from_reaching_anything(tmp_path: Path, kind: str) -> None:
    with canaries(tmp_path, solid_video(RED, encoding=MPEG2_TS), port=0) as (file, call):
        assert open_carelessly(armed_playlist(kind, tmp_path, call.port), tmp_path, "auto") == REFUSED
        assert not file.opened.is_set()
        assert not call.called.is_set()
