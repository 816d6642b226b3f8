"""Who may use the GPU while a CUDA graph is recorded: nobody else of this process.

CUDA refuses what other threads ask of the device meanwhile, a copy or memory, and the record is lost. So whoever uses the
device does it within ``using_device``, and a record waits until they are done and keeps others waiting.

Source: CUDA C++ Programming Guide, "Stream Capture", on cudaStreamCaptureModeGlobal, which onnxruntime uses.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager


class RecordingGate:
    """Many users, or one record."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._users = 0
        self._is_recording = False

    @contextmanager
    def using_device(self) -> Iterator[None]:
        """Waits for a record to end."""
        with self._changed:
            self._changed.wait_for(lambda: not self._is_recording)
            self._users += 1
        try:
            yield
        finally:
            with self._changed:
                self._users -= 1
                self._changed.notify_all()

    @contextmanager
    def recording(self) -> Iterator[None]:
        """Waits for all users and for other records; new users wait from now on."""
        with self._changed:
            self._changed.wait_for(lambda: not self._is_recording)
            self._is_recording = True
        try:
            with self._changed:
                self._changed.wait_for(lambda: not self._users)
            yield
        finally:
            with self._changed:
                self._is_recording = False
                self._changed.notify_all()


GATE = RecordingGate()
"""The device is the process's, whatever models there are."""
