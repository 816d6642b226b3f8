"""Sizes of batches that a GPU sees: few, so that each is warm, and a batch between two of them is filled up to the larger."""


def batch_buckets(max_batch_size: int) -> list[int]:
    """Powers of two and what lies half way, up to ``max_batch_size``, and that, falling: 12 -> [12, 8, 6, 4, 3, 2, 1]."""
    steps = {2**i for i in range(max_batch_size.bit_length())} | {3 * 2**i for i in range(max_batch_size.bit_length())}
    return sorted({size for size in steps if size <= max_batch_size} | {max_batch_size}, reverse=True)
