"""Serve the published models over HTTP. Every setting is an environment variable too; see docs/operations/settings.md."""

import argparse
import errno
import os
import resource
import socket
import sys
import time
from types import FrameType

import uvicorn
from fastapi import FastAPI

from app.connections import ConnectionLimits, limited_protocol
from app.inference.classify import Classifier
from app.inference.load_thread import is_loading
from app.main import create_app
from app.observability import logs
from app.settings import Settings, read_settings
from clips.errors import CommandError

EXAMPLE = "clipserve serve --port 8000 --model-repository models"

_FLAGS = (
    "host",
    "port",
    "model_repository",
    "default_model",
    "execution_provider",
    "max_batch_size",
    "max_queue_delay_ms",
    "decode_workers",
    "log_level",
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """One flag for each setting that is often changed."""
    for name in _FLAGS:
        help_text = str(Settings.model_fields[name].description).replace("`", "").replace("%", "%%")
        parser.add_argument(f"--{name.replace('_', '-')}", help=help_text, default=argparse.SUPPRESS)


def run(args: argparse.Namespace) -> None:
    """Serve until SIGTERM or Ctrl-C.

    Raises: UsageError: a setting is not valid. CommandError: the port is taken, or the models cannot be served.
    """
    settings = read_settings({name: value for name, value in vars(args).items() if name in _FLAGS})
    listener = _listen(settings.host, settings.port)
    app = create_app(settings)
    videos = settings.max_queue_size + settings.max_uploads + settings.max_timelines
    _allow_descriptors(settings.max_connections + 4 * videos + 256)
    http = limited_protocol(
        ConnectionLimits(settings.max_connections, settings.request_head_timeout_seconds, settings.send_timeout_seconds)
    )
    config = uvicorn.Config(app, http=http, log_config=None, access_log=False, server_header=False, ws="none")
    Server(config, app, _url(listener), settings.drain_seconds).run(sockets=[listener])
    start = app.state.start
    if start.done() and not start.cancelled() and start.exception():
        raise start.exception()
    _leave_loads_behind()


class Server(uvicorn.Server):
    """uvicorn, which says when it is ready, ends when its models cannot be served, and drains before it closes its port."""

    def __init__(self, config: uvicorn.Config, app: FastAPI, url: str, drain_seconds: float) -> None:
        super().__init__(config)
        self._app, self._url, self._drain_seconds = app, url, drain_seconds
        self._announced = False
        self._drain_until: float | None = None

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:  # noqa: ARG002
        """First signal: refuse new videos, finish those that were admitted. Second: stop now.

        uvicorn would close the port first, so that nobody could read from /readyz why, and end with the signal's exit code.
        """
        if self._drain_until is None:
            self._drain_until = time.monotonic() + self._drain_seconds
            self._classifier.readiness.become("draining", "the server is stopping")
        else:
            self.should_exit = self.force_exit = True

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Say where, as soon as connections are answered."""
        await super().startup(sockets)
        _say(f"ClipServe listens at {self._url}")

    async def on_tick(self, counter: int) -> bool:
        """Called by uvicorn every 0.1 s. True ends the server."""
        start = self._app.state.start
        if start.done() and not self._announced:
            self._announced = True
            if start.exception():
                return True
            self._announce()
        return await super().on_tick(counter) or self._drained()

    def _drained(self) -> bool:
        if self._drain_until is None:
            return False
        left = max(0.0, self._drain_until - time.monotonic())
        self.config.timeout_graceful_shutdown = max(1, round(left)) if left else 0  # s for what came after the last look
        return left == 0 or not self.server_state.tasks

    def _announce(self) -> None:
        """Name the model and a request to try; or say why no request will be answered."""
        readiness = self._classifier.readiness
        if readiness.state != "ready":
            _say(f"not ready: {'; '.join(readiness.reasons)}")
            return
        model = self._classifier.models.find()
        _say(f"ready:   {model.published.title}, {model.engine.variant.precision} on {model.engine.provider}")
        _say(f"try it:  curl -F file=@{os.path.relpath(model.published.golden_path)} {self._url}/classify")

    @property
    def _classifier(self) -> Classifier:
        classifier: Classifier = self._app.state.service.classifier
        return classifier


def _leave_loads_behind() -> None:
    """End here where a model is still being loaded: an interpreter that goes down below onnxruntime may crash."""
    if is_loading():
        logs.info("load_left_behind")
        sys.stdout.flush()
        os._exit(0)


def _say(line: str) -> None:
    """For the person at the terminal; programs read the log."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def _listen(host: str, port: int) -> socket.socket:
    """A bound socket, before anything is loaded. Raises: CommandError: the address cannot be had."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        listener = socket.socket(family, kind, protocol)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        # without this, a second server could bind the same port until the first one listens
        listener.listen()
    except OSError as problem:
        if problem.errno == errno.EADDRINUSE:
            raise CommandError(f"port {port} is in use on {host}; choose another with --port or CLIPSERVE_PORT") from problem
        raise CommandError(f"cannot listen on {host} port {port}: {problem.strerror}") from problem
    return listener


def _allow_descriptors(wanted: int) -> None:
    """Connections and uploads are descriptors, and many systems start a process with 1,024 of them."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return
    allowed = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, hard))
    if allowed < wanted:
        logs.warning("few_descriptors", allowed=allowed, wanted=wanted)


def _url(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    shown = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(host, f"[{host}]" if ":" in host else host)  # noqa: S104 compared, not bound
    return f"http://{shown}:{port}"
