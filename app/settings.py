"""Every setting of the server. The one module that reads the environment; ``docs/operations/settings.md`` is made from it."""

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from app.inference.provider_options import CudaGraphs
from app.inference.sandbox.policy import SandboxPolicy
from clips.acceleration import AcceleratorChoice
from clips.errors import UsageError
from clips.limits import ContainerFormat, DecodeLimits, VideoCodec

PREFIX = "CLIPSERVE_"

_CLIP_LIMITS = DecodeLimits()
_SANDBOX = SandboxPolicy()
_ORIGIN = re.compile(r"\*|[a-z][a-z0-9+.-]*://[^/\s*]+")
_HOST = re.compile(r"\*|(\*\.)?[a-zA-Z0-9._-]+|\[[0-9a-fA-F:.]+\]")
_CUDA_VARIABLES = ("CUDA_VISIBLE_DEVICES", "CUDA_DEVICE_ORDER", "LD_LIBRARY_PATH")


class Settings(BaseSettings):
    """Read from environment variables: ``port`` is ``CLIPSERVE_PORT``. Flags of ``clipserve serve`` win."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, extra="forbid", frozen=True, env_ignore_empty=True, allow_inf_nan=False
    )

    host: str = Field("127.0.0.1", description="Address to listen on; `0.0.0.0` accepts connections from other machines.")
    port: int = Field(8000, ge=0, le=65535, description="Port to listen on; 0 takes a free one.")
    model_repository: str = Field("models", description="Folder that holds `<name>/<version>/manifest.json`.")
    default_model: str | None = Field(
        None, description="Model that answers a request which names none. Default: the only one, or the first by name."
    )
    model_versions: Literal["latest", "all"] = Field(
        "latest", description="Versions to load of each model: the newest (`latest`) or every one (`all`)."
    )
    model_management: Literal["off", "on"] = Field(
        "off",
        description="Whether `POST /models/{name}/load`, `/unload` and `/default` change what is served; needs API "
        "keys. Where it is `off` they are answered 403 `model_management_off`.",
    )
    model_poll_seconds: float = Field(
        0.0,
        ge=0,
        description="How often the repository is looked at, s: new versions are loaded, removed ones unloaded. 0 never does.",
    )
    response_cache_entries: int = Field(
        0,
        ge=0,
        le=10_000_000,
        description="Answers that each served model keeps for videos of the same bytes, some 1.5 kB and 4 bytes for each "
        "label; 0 keeps none.",
    )
    execution_provider: Literal["auto", "cuda", "tensorrt", "cpu"] = Field(
        "auto",
        description="Where models run. `auto` takes CUDA where it can really run, else the CPU. "
        "A named one that cannot run refuses to start.",
    )
    lanes: int = Field(
        0,
        ge=0,
        le=256,
        description="Batches that run at once, each in a thread of its own; 0 measures at the start what is fastest.",
    )
    intra_op_threads: int = Field(
        0,
        ge=0,
        le=256,
        description="Threads of each lane on a CPU; 0 measures at the start what is fastest. "
        "Lanes times threads should be no more than the processors.",
    )
    max_batch_size: int = Field(
        0,
        ge=0,
        le=256,
        description="Most clips in one run of the model; 0 measures at the start what is fastest, up to 8 on a CPU "
        "and 32 on a GPU.",
    )
    cuda_graphs: CudaGraphs = Field(
        "auto",
        description="On a GPU, record the kernels of each batch size once and launch them as one: `auto` (on CUDA, and not for "
        "a model that cannot be recorded, as one with control flow), `on` (or refuse the model), `off`. Without it on CUDA "
        "every batch is filled up to the largest size.",
    )
    tf32: bool = Field(
        False,
        description="On a GPU, let fp32 models round what they multiply to TF32: faster, and probabilities then depend more on "
        "the batch. A published fp16 file is preferred anyway.",
    )
    gpu_memory_bytes: int = Field(
        0,
        ge=0,
        description="Most memory that a session's arena takes on a GPU; 0 for no bound. Workspaces of cuDNN come on top.",
    )
    cache_folder: str = Field(
        "",
        description="Folder for what was measured at a start and for the engines that TensorRT builds, so that the next start "
        "is sooner. TensorRT's files are loaded without a check: nobody else may write there. Default: `clipserve` in "
        "`XDG_CACHE_HOME` or `~/.cache`; `off` keeps nothing.",
    )
    max_queue_delay_ms: float = Field(
        0.0,
        ge=0,
        le=10_000,
        description="How long the first clip of a batch may wait for others while the model is free, ms, also where none "
        "comes. At 0 whatever waits is sent at once, and batches form behind the running one.",
    )
    max_queue_size: int = Field(
        64,
        ge=1,
        description="Videos that may wait for their answer; while as many do, a new request is answered 429 `queue_full`.",
    )
    max_wait_ms: int = Field(
        700,
        ge=0,
        description="Longest that videos are to wait for their answer, ms. While more arrive than the server can take, a new "
        "request that would wait longer is answered 429 `queue_full`; a short burst may fill the queue. 0: only "
        "`CLIPSERVE_MAX_QUEUE_SIZE` counts.",
    )
    max_uploads: int = Field(
        128,
        ge=1,
        description="Videos that may be arriving at once, beside those that wait; one more is answered 429 `queue_full`.",
    )
    max_connections: int = Field(
        1000, ge=1, description="Open connections, idle ones included; one more is closed without an answer."
    )
    request_head_timeout_seconds: float = Field(
        10.0, gt=0, description="Time for the head of a request (its first line and headers), s; then the connection is closed."
    )
    send_timeout_seconds: float = Field(
        60.0, gt=0, description="Time for a caller to take what was sent to it, s; then the connection is closed."
    )
    request_timeout_ms: int = Field(
        30_000,
        ge=1,
        description="Time from the end of the upload to the answer, ms; a request may ask for less with `timeout_ms`.",
    )
    max_upload_bytes: int = Field(
        64 * 2**20,
        ge=1,
        description="Largest video, bytes; a larger one is answered 413. A request under `/v2` may hold as many decoded clips "
        "as have room in it and may wait at once, and always one.",
    )
    max_batch_files: int = Field(
        16, ge=1, le=256, description="Most videos in one request to `/classify/batch`; one with more is answered 400."
    )
    max_batch_bytes: int = Field(
        256 * 2**20,
        ge=1,
        description="Most bytes of all videos of such a request together; one with more is answered 413. Each video is bounded "
        "by `CLIPSERVE_MAX_UPLOAD_BYTES` too.",
    )
    max_timelines: int = Field(
        16, ge=1, description="Videos that are classified window by window at once; one more is answered 429 `queue_full`."
    )
    timeline_timeout_seconds: float = Field(
        600.0,
        gt=0,
        description="Time for all windows of one video sent to `/timeline`, s; then its last event is `failed`. "
        "`CLIPSERVE_REQUEST_TIMEOUT_MS` is for each few windows.",
    )
    max_windows: int = Field(
        600,
        ge=1,
        description="Most windows of one video sent to `/timeline`; one that has more is answered 422 `invalid_parameter`.",
    )
    upload_timeout_seconds: float = Field(
        60.0, gt=0, description="Time for the whole request body to arrive, s; a slower one is answered 408."
    )
    upload_min_bytes_per_second: int = Field(
        16 * 1024,
        ge=0,
        description="Least average speed of an upload once 5 s have passed; a slower one is answered 408. 0 accepts any.",
    )
    decode_workers: int = Field(
        0, ge=0, le=256, description="Processes that decode videos; 0 takes as many as the process may use processors."
    )
    decode_timeout_seconds: float = Field(
        10.0, gt=0, description="Time to decode one video, s; then its worker is killed and the answer is 422 `decode_failed`."
    )
    decode_max_pixels: int = Field(
        _CLIP_LIMITS.max_pixels, ge=1, description="Most pixels of a frame (width times height); the default admits 4K."
    )
    decode_max_duration_seconds: float = Field(
        _CLIP_LIMITS.max_duration_seconds, gt=0, description="Longest video, s of presentation time."
    )
    decode_max_frames: int = Field(
        _CLIP_LIMITS.max_decoded_frames,
        ge=2,
        description="Most frames that may have to be decoded for one clip; `clipserve probe` tells how many a file takes.",
    )
    decode_max_streams: int = Field(
        _CLIP_LIMITS.max_streams, ge=1, description="Most streams (video, audio, subtitles) in one file."
    )
    decode_containers: Annotated[tuple[ContainerFormat, ...], NoDecode] = Field(
        _CLIP_LIMITS.containers,
        min_length=1,
        description="Comma separated containers that are opened, by FFmpeg's names (`mov` reads MP4 and 3GP too, `matroska` "
        "WebM): a choice of these. Others, and everything that refers to other files, are answered 415.",
    )
    decode_codecs: Annotated[tuple[VideoCodec, ...], NoDecode] = Field(
        _CLIP_LIMITS.codecs,
        min_length=1,
        description="Comma separated video codecs that are decoded, by FFmpeg's names: a choice of these. Others are answered "
        "422 `decode_failed`.",
    )
    decode_cpu_seconds: int = Field(
        _SANDBOX.cpu_seconds,
        ge=1,
        description="Processor time to decode one video, s, rounded up by less than one; then its worker is killed and the "
        "answer is 422 `decode_failed`.",
    )
    decode_memory_bytes: int = Field(
        _SANDBOX.memory_bytes,
        ge=512 * 2**20,
        description="Address space of a decode process: some 230 MiB of its own, the video, and what decoding takes. "
        "A video that needs more is answered 422 `decode_failed`.",
    )
    decode_recycle_clips: int = Field(
        1000, ge=1, description="Videos after which a decode process makes way for a fresh one, which is started first."
    )
    decode_sandbox: Literal["auto", "required", "off"] = Field(
        _SANDBOX.mode,
        description="How decode processes are held back: by all that the kernel has (`auto`), by rlimits, no_new_privs, "
        "Landlock and seccomp or the server does not start (`required`), or by nothing (`off`: for debugging alone).",
    )
    decode_accelerator: AcceleratorChoice = Field(
        "none",
        description="Decode on the video engine of an NVIDIA GPU: `cuda` (or refuse to start), or `auto` (where it works; "
        "`/readyz` says why not). It opens device files, so it needs `CLIPSERVE_DECODE_SANDBOX=off` and uploads that "
        "are trusted.",
    )
    api_keys: Annotated[tuple[SecretStr, ...], NoDecode] = Field(
        (),
        description="Comma separated keys. Where set, `X-API-Key` or `Authorization: Bearer` must carry one of them on every "
        "route but the page, `/docs`, `/healthz`, `/readyz` and `/v2/health/...`. `sha256:` and a hash in hexadecimal digits "
        "stands for a key.",
    )
    api_keys_file: Path | None = Field(
        None,
        description="File of more keys, one a line, `#` before remarks. It is looked at every second: a change is taken "
        "without a restart, and a file that cannot be used leaves the keys as they were.",
    )
    cors_origins: Annotated[tuple[str, ...], NoDecode] = Field(
        (),
        description="Comma separated origins whose web pages may call the server, such as `https://example.org`; `*` for all.",
    )
    trusted_hosts: Annotated[tuple[str, ...], NoDecode] = Field(
        (),
        description="Comma separated names by which the server may be called, such as `clips.example.org` or `*.example.org`; "
        "another `Host` is answered 400 `untrusted_host`, except at `/healthz`, `/readyz` and `/metrics`. Default: any name.",
    )
    docs: Literal["on", "off"] = Field("on", description="Whether there is a reference at `/docs` and `/openapi.json`.")
    metrics: Literal["on", "open", "off"] = Field(
        "on",
        description="Whether there is `/metrics`: with an API key where keys are set (`on`), without (`open`), or not (`off`).",
    )
    drain_seconds: float = Field(
        25.0, ge=0, description="Time that admitted requests have to finish after SIGTERM, s, before they are cut off."
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field("info", description="Lowest level that is logged.")

    @model_validator(mode="after")
    def _accelerator_needs_devices(self) -> Self:
        if self.decode_accelerator != "none" and self.decode_sandbox != "off":
            raise ValueError(
                "CLIPSERVE_DECODE_ACCELERATOR opens device files, which the sandbox forbids; where all uploads are trusted, "
                "set CLIPSERVE_DECODE_SANDBOX=off too"
            )
        return self

    @model_validator(mode="after")
    def _management_needs_keys(self) -> Self:
        if self.model_management == "on" and not (self.api_keys or self.api_keys_file):
            raise ValueError(
                "CLIPSERVE_MODEL_MANAGEMENT=on lets callers unload models, so it needs keys: set CLIPSERVE_API_KEYS or "
                "CLIPSERVE_API_KEYS_FILE too"
            )
        return self

    @property
    def sends_traces(self) -> bool:
        """Whether OpenTelemetry's own variables name a collector. The SDK alone reads them in full: it has dozens, with rules
        of their own. These few decide whether it is started at all.

        Raises: UsageError: they ask for what cannot be done.
        """
        if os.environ.get("OTEL_SDK_DISABLED", "").lower() == "true":
            return False
        endpoint = _trace_variable("ENDPOINT")
        exporter = os.environ.get("OTEL_TRACES_EXPORTER") or "otlp"
        if not endpoint or exporter == "none":
            return False
        if exporter != "otlp":
            raise UsageError("traces are sent by OTLP alone: set OTEL_TRACES_EXPORTER to `otlp` or `none`, or not at all")
        if not endpoint.startswith(("http://", "https://")):
            raise UsageError("the endpoint of OpenTelemetry (OTEL_EXPORTER_OTLP_ENDPOINT) must be an http or https address")
        if _trace_variable("PROTOCOL") not in ("", "http/protobuf"):
            raise UsageError("traces are sent as http/protobuf alone: set OTEL_EXPORTER_OTLP_PROTOCOL to that, or not at all")
        return True

    @property
    def cache_path(self) -> Path | None:
        """The cache folder; None for none."""
        if self.cache_folder == "off":
            return None
        home = Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache")
        path = Path(self.cache_folder) if self.cache_folder else home / "clipserve"
        try:
            return path.expanduser()
        except RuntimeError:  # nobody's home
            return None

    @property
    def decode_environment(self) -> dict[str, str]:
        """Variables of the CUDA driver that decode processes need where they use a GPU; else nothing."""
        names = _CUDA_VARIABLES if self.decode_accelerator != "none" else ()
        return {name: os.environ[name] for name in names if name in os.environ}

    @property
    def decode_limits(self) -> DecodeLimits:
        """Bounds on one video."""
        return DecodeLimits(
            max_pixels=self.decode_max_pixels,
            max_duration_seconds=self.decode_max_duration_seconds,
            max_decoded_frames=self.decode_max_frames,
            max_streams=self.decode_max_streams,
            containers=self.decode_containers,
            codecs=self.decode_codecs,
        )

    @field_validator("cors_origins")
    @classmethod
    def _check_origins(cls, origins: tuple[str, ...]) -> tuple[str, ...]:
        """A path or a slash at the end would never match, and ``null`` is the origin of any page that hides its own."""
        return _each_like(_ORIGIN, origins, "an origin is `scheme://host` or `scheme://host:port`")

    @field_validator("trusted_hosts")
    @classmethod
    def _check_hosts(cls, hosts: tuple[str, ...]) -> tuple[str, ...]:
        return _each_like(_HOST, hosts, "a host is a name or an address without a port, or `*.` and a domain")

    @field_validator("api_keys", "cors_origins", "trusted_hosts", "decode_containers", "decode_codecs", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        """``a, b`` is a list of two."""
        return [item.strip() for item in value.split(",") if item.strip()] if isinstance(value, str) else value


def read_settings(flags: Mapping[str, Any] | None = None) -> Settings:
    """Settings from the environment, with ``flags`` (by field name) in front.

    Raises: UsageError: a value is not valid; the message names each such variable.
    """
    try:
        return Settings(**(flags or {}))
    except ValidationError as problem:
        complaints = (
            ": ".join([*map(_name, error["loc"][:1]), error["msg"].removeprefix("Value error, ")]) for error in problem.errors()
        )
        raise UsageError("; ".join(complaints)) from None


def _trace_variable(name: str) -> str:
    """A variable of the exporter: the one for traces goes before the one for all signals."""
    return os.environ.get(f"OTEL_EXPORTER_OTLP_TRACES_{name}") or os.environ.get(f"OTEL_EXPORTER_OTLP_{name}", "")


def _each_like(pattern: re.Pattern[str], values: tuple[str, ...], rule: str) -> tuple[str, ...]:
    if not all(map(pattern.fullmatch, values)):
        raise ValueError(rule)
    return values


def _name(field: str | int) -> str:
    return variable_name(str(field))


def variable_name(field: str) -> str:
    """Environment variable of a field of ``Settings``."""
    return PREFIX + field.upper()
