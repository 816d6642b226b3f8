"""Traps for a decoder that follows references: a file that notices being opened, and an address that notices a call."""

import os
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

CALLED_PORT = 8999
"""The hostile playlists name it."""


class FileCanary:
    """A named pipe. Opening it to write returns only once somebody has opened it to read."""

    def __init__(self, path: Path, content: bytes) -> None:
        os.mkfifo(path)
        self.path, self._content = path, content
        self.opened = threading.Event()
        self._leaving = False
        self._thread = threading.Thread(target=self._wait, daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Let the thread go: be the reader that it waits for."""
        self._leaving = True
        if self._thread.is_alive():
            with self.path.open("rb"):
                self._thread.join(5)

    def _wait(self) -> None:
        with self.path.open("wb") as pipe:
            if not self._leaving:
                self.opened.set()
                try:
                    pipe.write(self._content)
                except BrokenPipeError:
                    return


class CallCanary:
    """A listening port that answers nobody and remembers that it was called."""

    def __init__(self, port: int) -> None:
        self._listener = socket.create_server(("127.0.0.1", port))
        self.port: int = self._listener.getsockname()[1]
        self.called = threading.Event()
        self._thread = threading.Thread(target=self._wait, daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop listening."""
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join(5)

    def _wait(self) -> None:
        while True:
            try:
                caller, _ = self._listener.accept()
            except OSError:
                return
            self.called.set()
            caller.close()


@contextmanager
def canaries(folder: Path, content: bytes, port: int = CALLED_PORT) -> Iterator[tuple[FileCanary, CallCanary]]:
    """``folder/secret.ts`` and a port of 127.0.0.1 (0: a free one)."""
    file, call = FileCanary(folder / "secret.ts", content), CallCanary(port)
    try:
        yield file, call
    finally:
        file.close()
        call.close()
