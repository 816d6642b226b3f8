"""A Python of its own for a module of ours.

A new interpreter and not a fork: a copy of a process with threads (onnxruntime, the event loop) may hang. Not
``multiprocessing`` either, which hands the environment on and imports the server's main module in the child.
"""

import os
import socket
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

_ENVIRONMENT = {
    "PYTHONDONTWRITEBYTECODE": "1",
    "PYTHONUTF8": "1",
    "OPENBLAS_NUM_THREADS": "1",  # numpy would start a thread for each processor
}


def start_interpreter(
    module: str, pipe: socket.socket, *arguments: object, environment: Mapping[str, str]
) -> "subprocess.Popen[bytes]":
    """Run ``python -m module DESCRIPTOR arguments...``, where DESCRIPTOR is that of ``pipe``.

    It gets nothing else of the server's: no other descriptor, none of its environment but ``environment``, no terminal, no
    folder of interest.

    Raises: OSError: no process can be started.
    """
    modules = os.pathsep.join(str(Path(folder).absolute()) for folder in sys.path)
    return subprocess.Popen(  # noqa: S603 our own program
        [sys.executable, "-P", "-s", "-m", module, str(pipe.fileno()), *map(str, arguments)],
        env={**environment, **_ENVIRONMENT, "PYTHONPATH": modules},
        cwd="/",
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        pass_fds=[pipe.fileno()],
        start_new_session=True,  # Ctrl-C reaches the whole group; the server decides when to end
    )
