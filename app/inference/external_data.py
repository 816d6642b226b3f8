"""A guard: an ONNX file that keeps weights in other files is refused, because only its own bytes were checked.

onnxruntime resolves such references against the working directory, and reads hard links that lead out of the model's folder.
A full parse needs the ``onnx`` package, which the server does not carry; but each reference spells the key of its location.
"""

from clips.errors import CommandError

# protobuf: a StringStringEntryProto whose key (field 1, eight bytes) is "location"; by chance in 1 of 2**80 positions
_LOCATION_KEY = b"\x0a\x08location"


def refuse_external_data(model: bytes, title: str) -> None:
    """Raises: CommandError: ``model`` (the bytes of an ONNX file) refers to another file."""
    if _LOCATION_KEY in model:
        raise CommandError(f"{title} keeps weights in another file (ONNX external data); export it as a single file")
