"""The lines between server and decode process: what goes in comes out, and nothing else is understood."""

import json

import pytest

from app.inference.decode_messages import MAX_LINE_BYTES, Decoded, Fault, OutOfMemory, Ready, Refused, Reply, Task, read_reply
from app.inference.sandbox.policy import Protections
from app.inference.timeline import MOST_WINDOWS_AT_ONCE
from clips import ClipError, ClipSpec, DecodeLimits, TimeWindow, load_clip
from tests.videos import numbered_video


def all_refusals(kind: type[ClipError] = ClipError) -> list[type[ClipError]]:
    return [*kind.__subclasses__(), *(below for child in kind.__subclasses__() for below in all_refusals(child))]


@pytest.mark.parametrize("kind", all_refusals())
def test_a_refusal_arrives_as_itself(kind: type[ClipError]) -> None:
    reply = read_reply(Refused.of(kind("because")).line())
    assert isinstance(reply, Refused)
    assert type(reply.error()) is kind
    assert str(reply.error()) == "because"


def test_codes_are_unlike_each_other() -> None:
    codes = [kind.code for kind in all_refusals()]
    assert len(set(codes)) == len(codes)


def test_facts_arrive_as_they_were() -> None:
    clip = load_clip(numbered_video(), ClipSpec(num_frames=4, height=32, width=32))
    reply = Decoded(frame_times_seconds=(clip.frame_times_seconds, clip.frame_times_seconds), videos=(clip.video, clip.video))
    assert read_reply(reply.line()) == reply


@pytest.mark.parametrize("reply", [Ready(protections=Protections(seccomp=True)), OutOfMemory(), Fault.of("x" * 10_000)])
def test_other_replies_arrive_too(reply: Reply) -> None:
    assert read_reply(reply.line()) == reply


def test_the_longest_messages_fit() -> None:
    task = Task(video_bytes=2**40, spec=ClipSpec(num_frames=512), limits=DecodeLimits())
    windows = tuple(TimeWindow(at / 3, at / 3 + 1) for at in range(MOST_WINDOWS_AT_ONCE))
    task = task.model_copy(update={"windows": windows})
    clip = load_clip(numbered_video(), ClipSpec(num_frames=512, height=16, width=16))
    times = tuple(1 / 3 + time for time in clip.frame_times_seconds)
    decoded = Decoded(frame_times_seconds=(times,) * len(windows), videos=(clip.video,) * len(windows))
    refusal, fault = Refused.of(ClipError("\0" * 10_000)), Fault.of("\0" * 10_000)
    assert max(len(message.line()) for message in (task, decoded, refusal, fault)) < MAX_LINE_BYTES


DECODED = (
    b'{"kind": "decoded", "frame_times_seconds": [[0.5]], "videos": [{"container": "", "codec": "", "width": 1, "height": 1, '
    b'"duration_seconds": 1, "frame_count": 1, "partial": false, "missing_fraction": 0, "decoded_on": "cpu"}]}\n'
)
BAD_LENGTHS = (b"Infinity", b"NaN", b"-1", b"0", b"1e308")


def test_what_follows_is_a_reply_but_for_what_is_put_into_it() -> None:
    assert isinstance(read_reply(DECODED), Decoded)


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"null\n",
        b"[]\n",
        b"\x80\x04.\n",
        b'{"kind": "task"}\n',
        b'{"kind": "refused", "code": "decode_failed"}\n',
        b'{"kind": "out_of_memory", "more": 1}\n',
        json.dumps({"kind": "refused", "code": "x", "message": "x" * 501}).encode() + b"\n",
        DECODED.replace(b"[[0.5]]", b"[[NaN]]"),
        *(DECODED.replace(b'"duration_seconds": 1,', b'"duration_seconds": ' + bad + b",") for bad in BAD_LENGTHS),
    ],
)
def test_what_is_no_reply_is_not_understood(line: bytes) -> None:
    with pytest.raises(ValueError, match="validation error"):
        read_reply(line)
