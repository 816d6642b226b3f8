"""The one file of a multipart form, handed on while it arrives. Nothing else of the form is kept, its name least of all."""

from collections.abc import Callable

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from app.errors import MalformedUpload

FILE_FIELD = "file"

ENVELOPE_BYTES = 64 * 1024
"""What a form may hold around its file: boundaries, part headers, a few fields."""
MAX_PARTS = 1 + 8
_MAX_PART_HEADERS = 8
_MAX_PART_HEADER_BYTES = 4096 + 128


class VideoForm:
    """Reads the body of one form, chunk by chunk; each piece of its file goes to ``sink``."""

    def __init__(self, content_type: str, sink: Callable[[bytes], None]) -> None:
        """Raises: MalformedUpload: no boundary, or not one."""
        boundary = parse_options_header(content_type)[1].get(b"boundary")
        if not boundary:
            raise MalformedUpload
        self._delimiter = b"\r\n--" + boundary
        self._sink = sink
        self._parts = self._delimiters = self._envelope_bytes = 0
        self._has_file = self._in_file = self._is_complete = False
        self._header_name = self._header_value = self._disposition = b""
        try:
            self._parser = self._new_parser(boundary)
        except FormParserError as problem:
            raise MalformedUpload from problem

    def feed(self, chunk: bytes) -> None:
        """The next bytes of the body. Raises: MalformedUpload, and what ``sink`` raises."""
        self._envelope_bytes += len(chunk)
        # a delimiter within the data is looked at byte by byte: 64 MB of them would hold the event loop for 10 s
        self._delimiters += chunk.count(self._delimiter)
        if self._delimiters > MAX_PARTS:
            raise MalformedUpload
        try:
            self._parser.write(chunk)
        except FormParserError as problem:
            raise MalformedUpload from problem
        if self._envelope_bytes > ENVELOPE_BYTES:
            raise MalformedUpload

    def finish(self) -> None:
        """The body is over. Raises: MalformedUpload: it ended too early, or held no file."""
        if not (self._is_complete and self._has_file):
            raise MalformedUpload

    def _new_parser(self, boundary: bytes) -> MultipartParser:
        return MultipartParser(
            boundary,
            {
                "on_part_begin": self._on_part_begin,
                "on_header_field": self._on_header_field,
                "on_header_value": self._on_header_value,
                "on_header_end": self._on_header_end,
                "on_headers_finished": self._on_headers_finished,
                "on_part_data": self._on_part_data,
                "on_part_end": self._on_part_end,
                "on_end": self._on_end,
            },
            max_header_count=_MAX_PART_HEADERS,
            max_header_size=_MAX_PART_HEADER_BYTES,
        )

    def _on_part_begin(self) -> None:
        self._parts += 1
        if self._parts > MAX_PARTS:
            raise MalformedUpload
        self._disposition = b""

    def _on_header_field(self, data: bytes, start: int, end: int) -> None:
        self._header_name += data[start:end]

    def _on_header_value(self, data: bytes, start: int, end: int) -> None:
        self._header_value += data[start:end]

    def _on_header_end(self) -> None:
        if self._header_name.lower() == b"content-disposition":
            self._disposition = self._header_value
        self._header_name = self._header_value = b""

    def _on_headers_finished(self) -> None:
        options = parse_options_header(self._disposition)[1]
        self._in_file = options.get(b"name") == FILE_FIELD.encode()
        if (self._in_file and self._has_file) or (b"filename" in options and not self._in_file):
            raise MalformedUpload
        self._has_file = self._has_file or self._in_file

    def _on_part_data(self, data: bytes, start: int, end: int) -> None:
        if self._in_file:
            self._envelope_bytes -= end - start
            self._sink(data[start:end])

    def _on_part_end(self) -> None:
        self._in_file = False

    def _on_end(self) -> None:
        self._is_complete = True
