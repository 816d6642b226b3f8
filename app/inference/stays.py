"""How long those who had a place stayed, and so how soon the next one gives its place back."""

from collections import deque

_REMEMBERED = 32


class Stays:
    """The last few of them. Of four that stay for 8 s each, one leaves every 2 s on average."""

    def __init__(self) -> None:
        self._seconds: deque[float] = deque(maxlen=_REMEMBERED)

    def ended(self, seconds: float) -> None:
        """Somebody left after so long, for whatever reason."""
        self._seconds.append(seconds)

    def next_end_seconds(self, inside: int) -> float:
        """Until one of so many leaves, on average; 0 where nobody has left so far. Source: Little's law."""
        return sum(self._seconds) / len(self._seconds) / inside if self._seconds else 0.0
