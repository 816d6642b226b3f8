"""A connection written to by hand, for what no client library would send."""

import json
import select
import socket
from types import TracebackType
from typing import Self

from tests.live_server import LiveServer


class RawConnection:
    """One TCP connection to the server."""

    def __init__(self, server: LiveServer, timeout_seconds: float = 60.0) -> None:
        address = (server.client.base_url.host, server.client.base_url.port or 80)
        self.socket = socket.create_connection(address, timeout=timeout_seconds)
        self._answers = self.socket.makefile("rb")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._answers.close()
        self.socket.close()

    def post(self, *headers: str, body: bytes = b"", path: str = "/classify") -> None:
        """A request with a raw body where ``headers`` name no other type."""
        content_type = () if any(header.startswith("Content-Type") for header in headers) else ("Content-Type: video/mp4",)
        lines = [f"POST {path} HTTP/1.1", "Host: x", *content_type, *headers, "", ""]
        self.write("\r\n".join(lines).encode() + body)

    def write(self, data: bytes) -> None:
        self.socket.sendall(data)

    def write_until_closed(self, block: bytes, most_bytes: int) -> int:
        """Send ``block`` again and again until the server closes; how many bytes it let pass."""
        sent = 0
        try:
            while sent < most_bytes:
                self.write(block)
                sent += len(block)
        except (BrokenPipeError, ConnectionResetError):
            pass
        return sent

    def answer(self) -> tuple[int, str]:
        """Status and problem code of the next answer; what is not HTTP is answered by uvicorn, without a code."""
        lines = self._answers
        status = int(lines.readline().split()[1])
        headers = dict(line.decode().strip().lower().split(": ", 1) for line in iter(lines.readline, b"\r\n"))
        body = lines.read(int(headers["content-length"]))
        return status, json.loads(body)["code"] if headers.get("content-type") == "application/problem+json" else ""

    def read_to_the_end(self) -> bytes:
        """Everything until the server closes. Raises: TimeoutError: it does not."""
        received = b""
        try:
            while data := self._answers.read1():
                received += data
        except ConnectionResetError:
            pass
        return received

    def is_closed(self, timeout_seconds: float = 0.0) -> bool:
        """Whether the server has closed, or closes within the time; whatever it sent before is read and dropped."""
        while select.select([self.socket], [], [], timeout_seconds)[0]:
            try:
                if not self.socket.recv(65536):
                    return True
            except ConnectionResetError:
                return True
        return False
