"""Where the Open Inference Protocol is spoken: everything under ``/v2``, failures included."""

PREFIX = "/v2"


def speaks_protocol(path: str) -> bool:
    """Whether a request to ``path`` is answered in the protocol's words: a failure is ``{"error": "..."}``."""
    return path == PREFIX or path.startswith(PREFIX + "/")
