"""The file of a form, whatever pieces it arrives in; and forms that are refused."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.api.form import ENVELOPE_BYTES, MAX_PARTS, VideoForm
from app.errors import MalformedUpload

TYPE = 'multipart/form-data; boundary="edge"'
FILE = b'Content-Disposition: form-data; name="file"; filename="a.mp4"\r\nContent-Type: video/mp4'
OTHER_FILE = b'Content-Disposition: form-data; name="other"; filename="b.mp4"'
FIELD = b'Content-Disposition: form-data; name="note"'

TRICKY = b"\r\n--edg\r\n--\r\n-\r-\n--edge\r\r\n\r\n--Edge--" + bytes(range(256))
"""Data that looks like the delimiter for as long as it can."""


def form(*parts: tuple[bytes, bytes], end: bytes = b"--edge--\r\n") -> bytes:
    return b"".join(b"--edge\r\n" + headers + b"\r\n\r\n" + data + b"\r\n" for headers, data in parts) + end


def file_of(body: bytes, *, chunk_bytes: int = 65_536, content_type: str = TYPE) -> bytes:
    pieces: list[bytes] = []
    reader = VideoForm(content_type, pieces.append)
    for start in range(0, len(body), chunk_bytes):
        reader.feed(body[start : start + chunk_bytes])
    reader.finish()
    return b"".join(pieces)


@pytest.mark.parametrize("chunk_bytes", [1, 2, 3, 5, 7, 11, 64, 65_536])
def test_the_pieces_make_the_file(chunk_bytes: int) -> None:
    body = form((FIELD, b"before"), (FILE, TRICKY), (FIELD, b"after"))
    assert file_of(body, chunk_bytes=chunk_bytes) == TRICKY


@given(
    data=st.lists(st.sampled_from([b"\r\n--edg", b"\r", b"\n", b"-", b"e", b"\r\n", b"x"])).map(b"".join),
    size=st.integers(1, 40),
)
def test_any_data_in_any_pieces(data: bytes, size: int) -> None:
    if b"\r\n--edge" not in b"\r\n" + data + b"\r\n":
        assert file_of(form((FILE, data)), chunk_bytes=size) == data


@pytest.mark.parametrize(
    "name",
    [b'"a.mp4"', b'"../../x"', b'"a\xe2\x80\xae4pm"', b'"a\x1b[31m"', b'""', b"\"x\"; filename*=UTF-8''y", b'"' + b"n" * 2000],
)
def test_the_name_of_the_file_is_of_no_importance(name: bytes) -> None:
    headers = b'Content-Disposition: form-data; name="file"; filename=' + name
    assert file_of(form((headers, b"video"))) == b"video"


@pytest.mark.parametrize(
    "content_type",
    [
        "multipart/form-data",
        "multipart/form-data; boundary=",
        'multipart/form-data; boundary=""',
        "multipart/form-data; boundary=" + 300 * "x",
        "multipart/form-data; boundary=other",
    ],
)
def test_a_form_needs_its_boundary(content_type: str) -> None:
    with pytest.raises(MalformedUpload):
        file_of(form((FILE, b"video")), content_type=content_type)


@pytest.mark.parametrize(
    "body",
    {
        "nothing": b"",
        "no part": form(),
        "no file": form((FIELD, b"text")),
        "another name": form((OTHER_FILE, b"video")),
        "two files": form((FILE, b"video"), (FILE, b"video")),
        "two files, one with another name": form((FILE, b"video"), (OTHER_FILE, b"video")),
        "no end": form((FILE, b"video"), end=b""),
        "cut in the file": form((FILE, b"video"), end=b"")[:-4],
        "a part without a name": form((b"Content-Disposition: form-data", b"video")),
        "a header without a colon": form((b"nonsense", b"video")),
        "text in front": b"hello\r\n" + form((FILE, b"video")),
        "too many fields": form((FILE, b"video"), *[(FIELD, b"x")] * MAX_PARTS),
        "too many headers": form((FILE + b"\r\nX: y" * 200, b"video")),
        "a long header": form((FILE + b"\r\nX: " + b"y" * 5000, b"video")),
        "a large field": form((FILE, b"video"), (FIELD, bytes(ENVELOPE_BYTES))),
        "a large field in front": form((FIELD, bytes(ENVELOPE_BYTES)), (FILE, b"video")),
        "a long end": form((FILE, b"video")) + bytes(ENVELOPE_BYTES),
    }.items(),
    ids=lambda item: item[0],
)
def test_a_form_that_breaks_the_rules_is_refused(body: tuple[str, bytes]) -> None:
    with pytest.raises(MalformedUpload):
        file_of(body[1])


@pytest.mark.parametrize(
    "filling",
    [b"\r\n--edgeX", b"\r\n--edge ", b"\r\n--edg", b"\r\n", b"\r", b"--edge\r\n\r\n\r\n", b" ", b"\r\n--edge" + 60 * b" "],
    ids=repr,
)
def test_no_body_holds_the_server_for_long(filling: bytes) -> None:
    body = form((FILE, b""), end=b"")[:-2] + filling * (16 * 2**20 // len(filling))
    before = time.process_time()
    with pytest.raises(MalformedUpload):
        file_of(body)
    assert time.process_time() - before < 1.0
