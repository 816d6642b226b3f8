"""Settings: from the environment, flags in front, one clear line for what is wrong."""

import pytest

from app.settings import Settings, read_settings
from clips.errors import UsageError
from clips.limits import DecodeLimits


@pytest.fixture(autouse=True)
def _no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in Settings.model_fields:
        monkeypatch.delenv(f"CLIPSERVE_{name.upper()}", raising=False)


def test_the_defaults_listen_on_this_machine_alone_with_no_foreign_pages() -> None:
    settings = read_settings()
    assert (settings.host, settings.port) == ("127.0.0.1", 8000)
    assert settings.cors_origins == ()
    assert settings.max_queue_delay_ms == 0


def test_a_flag_wins_over_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLIPSERVE_PORT", "9000")
    assert read_settings().port == 9000
    assert read_settings({"port": "9001"}).port == 9001


def test_lists_are_comma_separated(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLIPSERVE_CORS_ORIGINS", "https://a.example, https://b.example,")
    monkeypatch.setenv("CLIPSERVE_API_KEYS", "one,two")
    settings = read_settings()
    assert settings.cors_origins == ("https://a.example", "https://b.example")
    assert [key.get_secret_value() for key in settings.api_keys] == ["one", "two"]


def test_keys_do_not_show() -> None:
    assert "secret" not in repr(read_settings({"api_keys": "secret"}))


def test_an_empty_variable_is_an_unset_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLIPSERVE_PORT", "")
    assert read_settings().port == 8000


@pytest.mark.parametrize(
    ("name", "value"), [("PORT", "http"), ("MAX_BATCH_SIZE", "-1"), ("EXECUTION_PROVIDER", "gpu"), ("DRAIN_SECONDS", "-1")]
)
def test_an_invalid_value_is_a_usage_error_that_names_its_variable(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(f"CLIPSERVE_{name}", value)
    with pytest.raises(UsageError, match=f"^CLIPSERVE_{name}: ") as refusal:
        read_settings()
    assert refusal.value.exit_code == 2
    assert "\n" not in str(refusal.value)


DECODE_LIMITS = {
    "decode_max_pixels": ("max_pixels", 1234),
    "decode_max_duration_seconds": ("max_duration_seconds", 12.5),
    "decode_max_frames": ("max_decoded_frames", 321),
    "decode_max_streams": ("max_streams", 7),
    "decode_containers": ("containers", ("avi", "ogg")),
    "decode_codecs": ("codecs", ("vp9",)),
}


@pytest.mark.parametrize("setting", DECODE_LIMITS)
def test_each_setting_of_a_limit_reaches_the_decoder(monkeypatch: pytest.MonkeyPatch, setting: str) -> None:
    limit, value = DECODE_LIMITS[setting]
    monkeypatch.setenv(f"CLIPSERVE_{setting.upper()}", ",".join(value) if isinstance(value, tuple) else str(value))
    assert read_settings().decode_limits == DecodeLimits.model_validate({limit: value})


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("cors_origins", "https://clips.example/"),
        ("cors_origins", "clips.example"),
        ("cors_origins", "https://*.example"),
        ("cors_origins", "null"),
        ("trusted_hosts", "https://clips.example"),
        ("trusted_hosts", "clips.example:8000"),
        ("trusted_hosts", "clips.*.example"),
        ("trusted_hosts", "*example"),
        ("metrics", "closed"),
        ("docs", "true"),
    ],
)
def test_a_door_that_would_never_open_as_meant_is_refused(setting: str, value: str) -> None:
    with pytest.raises(UsageError, match=f"CLIPSERVE_{setting.upper()}"):
        read_settings({setting: value})


OTLP = "OTEL_EXPORTER_OTLP_"


@pytest.mark.parametrize(
    ("variables", "sends"),
    [
        ({}, False),
        ({OTLP + "ENDPOINT": ""}, False),
        ({OTLP + "ENDPOINT": "http://collector:4318"}, True),
        ({OTLP + "TRACES_ENDPOINT": "https://collector/v1/traces"}, True),
        ({OTLP + "ENDPOINT": "http://collector:4318", OTLP + "PROTOCOL": "http/protobuf"}, True),
        ({OTLP + "ENDPOINT": "http://collector:4318", "OTEL_TRACES_EXPORTER": "none"}, False),
        ({OTLP + "ENDPOINT": "http://collector:4318", "OTEL_SDK_DISABLED": "true"}, False),
    ],
)
def test_traces_are_sent_where_a_collector_is_named(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], sends: bool
) -> None:
    for name in ("ENDPOINT", "TRACES_ENDPOINT", "PROTOCOL", "TRACES_PROTOCOL"):
        monkeypatch.delenv(OTLP + name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert read_settings().sends_traces is sends


def test_only_what_is_on_the_lists_can_be_chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLIPSERVE_DECODE_CONTAINERS", "mov,hls")
    with pytest.raises(UsageError, match="CLIPSERVE_DECODE_CONTAINERS"):
        read_settings()


def test_models_are_managed_by_holders_of_a_key_alone() -> None:
    with pytest.raises(UsageError, match="set CLIPSERVE_API_KEYS or"):
        read_settings({"model_management": "on"})
    assert read_settings({"model_management": "on", "api_keys": "secret"}).model_management == "on"
    assert read_settings().model_management == "off"
