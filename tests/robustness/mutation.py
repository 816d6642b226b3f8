"""Broken variants of sound videos. A number and a set of seeds always give the same input.

seeds, number -> one to eight steps, each at a place that matters more often than chance would have it
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random
from typing import TypeAlias

from tests.robustness.seeds import Seed

MAX_BYTES = 2**20
_EDGE = 4096
_MAX_STEPS = 8

_INTERESTING_BYTES = (0x00, 0xFF, 0x7F, 0x80, 0x01, 0x40)
_INTERESTING_WORDS = (0, 1, 2**31 - 1, 2**31, 2**32 - 1, 2**16, 2**16 - 1, 2**24, 2**30)

MARKS = (
    # MP4 boxes: the index and what it counts on
    *(b"ftyp", b"moov", b"mvhd", b"trak", b"tkhd", b"elst", b"mdhd", b"stsd", b"avcC", b"hvcC", b"av1C", b"esds"),
    *(b"stts", b"ctts", b"stss", b"stsc", b"stsz", b"stco", b"co64", b"moof", b"tfhd", b"trun", b"mdat"),
    # Matroska: head, segment, seek head, info, tracks, cluster, cues, block group
    *(b"\x1aE\xdf\xa3", b"\x18S\x80g", b"\x11M\x9bt", b"\x15I\xa9f", b"\x16T\xaek", b"\x1fC\xb6u", b"\x1cS\xbbk", b"\xa0"),
    # AVI, FLV, ASF, Ogg
    *(b"RIFF", b"LIST", b"avih", b"strh", b"strf", b"idx1", b"movi", b"00dc", b"FLV", b"\x30\x26\xb2\x75", b"OggS"),
    # start codes of MPEG, H.264 and HEVC; a packet of a transport stream
    *(b"\0\0\1", b"\x47\x40", b"\x47\x41"),
)

Step: TypeAlias = "Callable[[bytearray, Random, Sequence[Seed]], str]"


@dataclass(frozen=True)
class Mutant:
    """One input, and how it was made."""

    number: int
    seed: str
    steps: tuple[str, ...]
    data: bytes


def mutant(seeds: Sequence[Seed], number: int) -> Mutant:
    """The input with this number."""
    random = Random(number)
    seed = random.choice(seeds)
    data = bytearray(seed.data)
    steps = [_step(data, random, seeds) for _ in range(min(_MAX_STEPS, 1 + int(random.expovariate(0.5))))]
    return Mutant(number, seed.name, tuple(steps), bytes(data[:MAX_BYTES]))


def _step(data: bytearray, random: Random, seeds: Sequence[Seed]) -> str:
    """Change ``data`` in one way; what was done."""
    if not data:
        return "nothing is left"
    return random.choices(_STEPS, _WEIGHTS)[0](data, random, seeds)


def _place(data: bytearray, random: Random) -> int:
    """Where to break it: anywhere, in the head, in the tail, or just behind a mark."""
    match random.randrange(4):
        case 0:
            return random.randrange(len(data))
        case 1:
            return random.randrange(min(len(data), _EDGE))
        case 2:
            return len(data) - 1 - random.randrange(min(len(data), _EDGE))
        case _:
            return min(_marked(data, random) + random.randrange(-8, 64), len(data) - 1) % len(data)


def _marked(data: bytearray, random: Random) -> int:
    """The place of a mark, the next one behind a random point; that point where there is none."""
    start = random.randrange(len(data))
    for mark in random.sample(MARKS, len(MARKS)):
        at = data.find(mark, start)
        at = data.find(mark) if at < 0 else at
        if at >= 0:
            return at
    return start


def _block(data: bytearray, random: Random) -> tuple[int, int]:
    """Start and end of a block, short ones more often."""
    start = _place(data, random)
    return start, min(len(data), start + int(2 ** random.uniform(0, 12)))


def flip_bits(data: bytearray, random: Random, seeds: Sequence[Seed]) -> str:
    places = [_place(data, random) for _ in range(random.randint(1, 16))]
    for at in places:
        data[at] ^= 1 << random.randrange(8)
    return f"flip bits at {places}"


def overwrite_byte(data: bytearray, random: Random, seeds: Sequence[Seed]) -> str:
    at, value = _place(data, random), random.choice(_INTERESTING_BYTES)
    data[at] = value
    return f"byte {value:#x} at {at}"


def overwrite_word(data: bytearray, random: Random, seeds: Sequence[Seed]) -> str:
    at, value, order = _place(data, random), random.choice(_INTERESTING_WORDS), random.choice(("big", "little"))
    data[at : at + 4] = value.to_bytes(4, order)  # type: ignore[arg-type]
    return f"word {value:#x} {order} at {at}"


def overwrite_with_noise(data: bytearray, random: Random, seeds: Sequence[Seed]) -> str:
    start, end = _block(data, random)
    data[start:end] = random.randbytes(end - start)
    return f"noise at {start}:{end}"


def remove(data: bytearray, random: Random, seeds: Sequence[Seed]) -> str:
    start, end = _block(data, random)
    del data[start:end]
    return f"remove {start}:{end}"


def duplicate(data: bytearray, random: Random, seeds: Sequence[Seed]) -> str:
    start, end = _block(data, random)
    times = random.randint(1, 8)
    data[end:end] = data[start:end] * times
    return f"{times} more of {start}:{end}"


def swap(data: bytearray, random: Random, seeds: Sequence[Seed]) -> str:
    (start, end), other = _block(data, random), _place(data, random)
    length = min(end - start, len(data) - other)
    data[start : start + length], data[other : other + length] = data[other : other + length], data[start : start + length]
    return f"swap {length} at {start} and {other}"


def insert(data: bytearray, random: Random, seeds: Sequence[Seed]) -> str:
    at, length = _place(data, random), int(2 ** random.uniform(0, 12))
    data[at:at] = random.randbytes(length) if random.random() < 0.5 else bytes([random.choice(_INTERESTING_BYTES)]) * length
    return f"insert {length} at {at}"


def cut(data: bytearray, random: Random, seeds: Sequence[Seed]) -> str:
    at = _place(data, random)
    del data[at:]
    return f"cut at {at}"


def splice(data: bytearray, random: Random, seeds: Sequence[Seed]) -> str:
    other, at = random.choice(seeds), _place(data, random)
    start = random.randrange(len(other.data))
    data[at:] = other.data[start:]
    return f"from {at} on {other.name} from {start} on"


_STEPS: tuple[Step, ...] = (
    *(flip_bits, overwrite_byte, overwrite_word, overwrite_with_noise),
    *(remove, duplicate, swap, insert, cut, splice),
)
_WEIGHTS = (4, 4, 4, 2, 2, 2, 2, 2, 1, 1)  # the destructive ones less often: little is left to decode behind a cut
