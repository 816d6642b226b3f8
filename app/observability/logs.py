"""Structured logs: one JSON object a line on standard error. Values are ours; what a client sent is never logged raw.

{"time": "2026-11-23T10:00:00.000Z", "level": "info", "event": "request", "request_id": "...", "route": "/classify", ...}
"""

import json
import logging
import sys
from datetime import UTC, datetime

_LOGGER = logging.getLogger("clipserve")

_OTHERS = (
    ("uvicorn", "WARNING"),
    ("asyncio", "WARNING"),
    ("opentelemetry", "WARNING"),
    ("python_multipart", "CRITICAL"),  # its warnings quote what a client sent; the line of the request says as much
)


class JsonLines(logging.Formatter):
    """A record as one line of JSON; ASCII only, so that no terminal is steered by it."""

    def format(self, record: logging.LogRecord) -> str:
        time = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        line = {"time": time, "level": record.levelname.lower(), "event": record.getMessage(), **getattr(record, "fields", {})}
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str)


def set_up(level: str) -> None:
    """Send our log lines, and the warnings of others, to standard error."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines())
    for name, lowest in (("clipserve", level.upper()), *_OTHERS):
        logger = logging.getLogger(name)
        logger.handlers = [handler]
        logger.setLevel(lowest)
        logger.propagate = False


def info(event: str, **fields: object) -> None:
    """Something that an operator may want to know."""
    _LOGGER.info(event, extra={"fields": fields})


def warning(event: str, **fields: object) -> None:
    """Something that an operator should look at."""
    _LOGGER.warning(event, extra={"fields": fields})


def exception(event: str, **fields: object) -> None:
    """A fault of ours, with the traceback of the exception that is being handled."""
    _LOGGER.exception(event, extra={"fields": fields})
