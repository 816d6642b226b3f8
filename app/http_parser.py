"""Requests that would like another protocol, read as the HTTP/1.1 that they are.

Java's client wishes for HTTP/2 with every first request, also where it has a body. A server may ignore the wish (RFC 9110,
section 7.8). httptools cannot: it ends the request at its head, and takes the body for that protocol.
"""

from collections.abc import Callable

from httptools import HttpParserUpgrade, HttpRequestParser


class UpgradeIgnoringParser(HttpRequestParser):
    """Reads a request with such a wish twice; the first time ``should_upgrade()`` is true from ``on_headers_complete`` on."""

    def __init__(self, protocol: object, head_without_wish: Callable[[], bytes]) -> None:
        """``head_without_wish`` makes the head for the second time of what ``protocol`` was told the first time."""
        self._protocol, self._head_without_wish = protocol, head_without_wish
        self._begin()

    def feed_data(self, data: bytes) -> None:  # type: ignore[override] # uvicorn has nothing else
        rest = memoryview(data)
        while True:
            try:
                return super().feed_data(rest)
            except HttpParserUpgrade as wish:
                rest = rest[wish.args[0] :]
                self._begin()  # one that keeps no connection has ended, and would drop all that follows
                super().feed_data(self._head_without_wish())

    def _begin(self) -> None:
        super().__init__(self._protocol)
        self.set_dangerous_leniencies(lenient_data_after_close=True)  # as uvicorn's
