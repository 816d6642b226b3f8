"""The file of a form, whatever pieces it arrives in; and forms that are refused."""

import time
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.api.form import ONE_FILE, FormRules, VideoForm
from app.errors import MalformedUpload

TYPE = 'multipart/form-data; boundary="edge"'
FILE = b'Content-Disposition: form-data; name="file"; filename="a.mp4"\r\nContent-Type: video/mp4'
OTHER_FILE = b'Content-Disposition: form-data; name="other"; filename="b.mp4"'
FIELD = b'Content-Disposition: form-data; name="note"'

TRICKY = b"\r\n--edg\r\n--\r\n-\r-\n--edge\r\r\n\r\n--Edge--" + bytes(range(256))
"""Data that looks like the delimiter for as long as it can."""


def form(*parts: tuple[bytes, bytes], end: bytes = b"--edge--\r\n") -> bytes:
    return b"".join(b"--edge\r\n" + headers + b"\r\n\r\n" + data + b"\r\n" for headers, data in parts) + end


def files_of(body: bytes, rules: FormRules, *, chunk_bytes: int = 65_536, content_type: str = TYPE) -> list[bytes]:
    files: list[list[bytes]] = []

    def begin_file() -> Callable[[bytes], None]:
        files.append([])
        return files[-1].append

    reader = VideoForm(content_type, rules, begin_file)
    for start in range(0, len(body), chunk_bytes):
        reader.feed(body[start : start + chunk_bytes])
    reader.finish()
    return [b"".join(pieces) for pieces in files]


def file_of(body: bytes, *, chunk_bytes: int = 65_536, content_type: str = TYPE) -> bytes:
    (file,) = files_of(body, ONE_FILE, chunk_bytes=chunk_bytes, content_type=content_type)
    return file


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
        "too many fields": form((FILE, b"video"), *[(FIELD, b"x")] * ONE_FILE.max_parts),
        "too many headers": form((FILE + b"\r\nX: y" * 200, b"video")),
        "a long header": form((FILE + b"\r\nX: " + b"y" * 5000, b"video")),
        "a large field": form((FILE, b"video"), (FIELD, bytes(ONE_FILE.envelope_bytes))),
        "a large field in front": form((FIELD, bytes(ONE_FILE.envelope_bytes)), (FILE, b"video")),
        "a long end": form((FILE, b"video")) + bytes(ONE_FILE.envelope_bytes),
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


THREE = FormRules("files", 3, "Send at most three.")
ONE_OF_THEM = b'Content-Disposition: form-data; name="files"; filename="a.mp4"'


@pytest.mark.parametrize("chunk_bytes", [1, 7, 65_536])
def test_files_come_one_after_the_other_and_keep_their_order(chunk_bytes: int) -> None:
    body = form((ONE_OF_THEM, b"first"), (FIELD, b"text"), (ONE_OF_THEM, b""), (ONE_OF_THEM, TRICKY))
    assert files_of(body, THREE, chunk_bytes=chunk_bytes) == [b"first", b"", TRICKY]


@pytest.mark.parametrize(
    "parts",
    [[ONE_OF_THEM] * 4, [ONE_OF_THEM] * 400, [FILE], [ONE_OF_THEM, FILE], [FIELD], []],
    ids=["one too many", "many too many", "the field of one", "both fields", "no file", "nothing"],
)
def test_a_form_of_several_that_breaks_the_rules_is_told_its_own(parts: list[bytes]) -> None:
    with pytest.raises(MalformedUpload, match=r"Send at most three\."):
        files_of(form(*[(part, b"video") for part in parts]), THREE)


def test_every_further_file_may_have_headers_of_its_own() -> None:
    long_name = ONE_OF_THEM[:-1] + b"n" * 4000 + b'"'
    rules = FormRules("files", 40, "")
    assert files_of(form(*[(long_name, b"video")] * 40), rules) == [b"video"] * 40
