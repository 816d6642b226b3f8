"""The files of a multipart form, handed on while they arrive. Nothing else of the form is kept, their names least of all."""

from collections.abc import Callable
from dataclasses import dataclass

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from app.errors import MalformedUpload

_ENVELOPE_BYTES = 64 * 1024
_OTHER_PARTS = 8
_MAX_PART_HEADERS = 8
_MAX_PART_HEADER_BYTES = 4096 + 128

Sink = Callable[[bytes], None]


@dataclass(frozen=True)
class FormRules:
    """What a form may hold."""

    field: str
    """Name of the parts that are files; a file under another name is refused."""
    max_files: int
    detail: str
    """What to tell who breaks the rules."""

    @property
    def max_parts(self) -> int:
        """Files, and a few fields that nobody reads."""
        return self.max_files + _OTHER_PARTS

    @property
    def envelope_bytes(self) -> int:
        """What a form may hold around its files: boundaries, part headers, a few fields."""
        return _ENVELOPE_BYTES + (self.max_files - 1) * _MAX_PART_HEADER_BYTES

    def broken(self) -> MalformedUpload:
        """The problem of a form that breaks them."""
        return MalformedUpload(self.detail)


ONE_FILE = FormRules("file", 1, "Send exactly one file, in the multipart field `file`.")


class VideoForm:
    """Reads the body of one form, chunk by chunk. ``begin_file`` is called as a file begins, and gives what takes its bytes."""

    def __init__(self, content_type: str, rules: FormRules, begin_file: Callable[[], Sink]) -> None:
        """Raises: MalformedUpload: no boundary, or not one."""
        self._rules, self._begin_file = rules, begin_file
        boundary = parse_options_header(content_type)[1].get(b"boundary")
        if not boundary:
            raise rules.broken()
        self._delimiter = b"\r\n--" + boundary
        self._sink: Sink | None = None
        self._parts = self._files = self._delimiters = self._envelope_bytes = 0
        self._is_complete = False
        self._header_name = self._header_value = self._disposition = b""
        try:
            self._parser = self._new_parser(boundary)
        except FormParserError as problem:
            raise rules.broken() from problem

    def feed(self, chunk: bytes) -> None:
        """The next bytes of the body. Raises: MalformedUpload, and what ``begin_file`` and its sinks raise."""
        self._envelope_bytes += len(chunk)
        # a delimiter within the data is looked at byte by byte: 64 MB of them would hold the event loop for 10 s
        self._delimiters += chunk.count(self._delimiter)
        if self._delimiters > self._rules.max_parts:
            raise self._rules.broken()
        try:
            self._parser.write(chunk)
        except FormParserError as problem:
            raise self._rules.broken() from problem
        if self._envelope_bytes > self._rules.envelope_bytes:
            raise self._rules.broken()

    def finish(self) -> None:
        """The body is over. Raises: MalformedUpload: it ended too early, or held no file."""
        if not (self._is_complete and self._files):
            raise self._rules.broken()

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
        if self._parts > self._rules.max_parts:
            raise self._rules.broken()
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
        is_file = options.get(b"name") == self._rules.field.encode()
        self._files += is_file
        if self._files > self._rules.max_files or (b"filename" in options and not is_file):
            raise self._rules.broken()
        self._sink = self._begin_file() if is_file else None

    def _on_part_data(self, data: bytes, start: int, end: int) -> None:
        if self._sink:
            self._envelope_bytes -= end - start
            self._sink(data[start:end])

    def _on_part_end(self) -> None:
        self._sink = None

    def _on_end(self) -> None:
        self._is_complete = True
