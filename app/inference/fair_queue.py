"""A queue that is fair among those who fill it: whoever sends many is served by turns with whoever sends one.

    flow A:  a1 a2 a3 a4        order:  a1 b1 c1 a2 c2 a3 a4
    flow B:  b1
    flow C:  c1 c2

Within a flow, and among flows of one item each, the order is that of arrival. Source: fair queueing (Nagle, RFC 970), whose
packets here are clips: all of one size.
"""

from collections import deque
from collections.abc import Hashable, Iterator
from typing import Generic, TypeVar

T = TypeVar("T")


class FairQueue(Generic[T]):
    """Items, each of a flow."""

    def __init__(self) -> None:
        self._flows: dict[Hashable, deque[T]] = {}  # in the order of their turns
        self._length = 0

    def __len__(self) -> int:
        """Items of all flows."""
        return self._length

    def __iter__(self) -> Iterator[T]:
        """All items, flow by flow."""
        return (item for items in self._flows.values() for item in items)

    def append(self, item: T, flow: Hashable) -> None:
        """Put ``item`` behind those of its flow; a new flow is the last to have its turn."""
        self._flows.setdefault(flow, deque()).append(item)
        self._length += 1

    def popleft(self) -> T:
        """The oldest item of the flow whose turn it is. Raises: IndexError: there is none."""
        if not self._flows:
            raise IndexError("no item waits")
        flow = next(iter(self._flows))
        items = self._flows.pop(flow)
        item = items.popleft()
        if items:
            self._flows[flow] = items  # behind the others
        self._length -= 1
        return item

    def discard(self, item: T, flow: Hashable) -> bool:
        """Take ``item`` out; False where it is not in the queue any more."""
        items = self._flows.get(flow, deque())
        if item not in items:
            return False
        items.remove(item)
        if not items:
            del self._flows[flow]
        self._length -= 1
        return True

    def clear(self) -> list[T]:
        """Take out all items."""
        items = list(self)
        self._flows.clear()
        self._length = 0
        return items
