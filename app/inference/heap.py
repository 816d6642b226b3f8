"""Memory that was freed, back to the system: loading a model takes several times what it keeps."""

import ctypes


def return_free_memory() -> None:
    """glibc keeps what was freed in case it is wanted again; other C libraries are left alone."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim:
        trim(0)
