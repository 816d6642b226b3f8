"""The API keys that open the server: those of a setting, and those of a file that may change while it serves.

look   look   look   look         a file is taken once two looks in a row found the same in it, so
AAAA   AAB    AABB   AABB -> AABB  nobody is judged by half a file, however it is written
"""

import asyncio
import hmac
import re
from collections.abc import Iterable
from hashlib import sha256
from pathlib import Path

from app.observability import logs
from clips.errors import UsageError

LOOK_SECONDS = 1.0
"""Between two looks at the file."""
_MAX_FILE_BYTES = 2**20
_SHORT_CHARACTERS = 16
_DIGEST = re.compile(r"[0-9a-fA-F]{64}")


class ApiKeys:
    """Which keys are right. Without a setting and without a file none is asked for."""

    def __init__(self, fixed: Iterable[str] = (), file: Path | None = None) -> None:
        """Raises: UsageError: a key or the file cannot be used."""
        self._file = file
        self._considered = self._last_look = _contents(file) if file else None
        try:
            self._fixed = _digests(fixed)
            self._of_file = _digests(_keys(self._considered)) if file else ()
        except ValueError as problem:
            raise UsageError(f"the API keys cannot be used: {problem}") from None

    @property
    def are_asked_for(self) -> bool:
        """Whether a request needs a key."""
        return bool(self._fixed or self._of_file)

    def accept(self, sent: str) -> bool:
        """Whether ``sent`` is a right key. Takes the same time for each that is wrong."""
        digest = sha256(sent.encode()).digest()
        known = self._fixed + self._of_file
        return bool(sum(hmac.compare_digest(digest, key) for key in known))  # not any: every key takes its time

    async def watch(self) -> None:
        """Look at the file again and again, until cancelled; return at once where there is none."""
        while self._file:
            await asyncio.sleep(LOOK_SECONDS)
            await self.look(self._file)

    async def look(self, file: Path) -> None:
        """Take what is in ``file`` where it is new and settled. What cannot be used leaves the last good keys."""
        contents = await asyncio.to_thread(_contents, file)  # a mounted file may be slow to read
        is_settled, self._last_look = contents == self._last_look, contents
        if not is_settled or contents == self._considered:
            return
        self._considered = contents
        try:
            self._of_file = _digests(_keys(contents))
        except ValueError as problem:
            logs.warning("api_keys_kept", reason=str(problem), keys=len(self._of_file))
        else:
            logs.info("api_keys_changed", keys=len(self._of_file))


def _contents(file: Path) -> bytes | None:
    """What is in ``file``; None where it cannot be read. One byte more than is allowed tells that there are too many."""
    try:
        if not file.is_file():  # a pipe would never end
            return None
        with file.open("rb") as opened:
            return opened.read(_MAX_FILE_BYTES + 1)
    except OSError:
        return None


def _keys(contents: bytes | None) -> list[str]:
    """One key a line; empty lines and those that begin with ``#`` are none. Raises: ValueError: nothing to go by."""
    if contents is None:
        raise ValueError("their file is missing or cannot be read")
    if len(contents) > _MAX_FILE_BYTES:
        raise ValueError(f"their file has more than {_MAX_FILE_BYTES} bytes")
    try:
        lines = [line.strip() for line in contents.decode("utf-8-sig").splitlines()]
    except UnicodeDecodeError:
        raise ValueError("their file is not UTF-8 text") from None
    keys = [line for line in lines if line and not line.startswith("#")]
    if not keys:
        raise ValueError("their file holds none")
    return keys


def _digests(keys: Iterable[str]) -> tuple[bytes, ...]:
    """SHA-256 of each key: all of one length, so that comparing them takes the same time for all. Raises: ValueError."""
    keys = tuple(keys)
    num_short = sum(len(key) < _SHORT_CHARACTERS for key in keys)
    if num_short:
        logs.warning("short_api_keys", keys=num_short, fewer_characters_than=_SHORT_CHARACTERS)
    return tuple(_digest(key) for key in keys)


def _digest(key: str) -> bytes:
    """Of the key itself, or of one of which only the hash is stored: ``sha256:`` and 64 hexadecimal digits."""
    if not key.startswith("sha256:"):
        return sha256(key.encode()).digest()
    if not _DIGEST.fullmatch(key[7:]):
        raise ValueError("after sha256: come 64 hexadecimal digits")
    return bytes.fromhex(key[7:])
