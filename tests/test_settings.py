"""Settings: declared once, checked when they are read."""

from __future__ import annotations

from pathlib import Path

import pytest

from headwater.domain.errors import StartupError
from headwater.domain.feed import FeedMode
from headwater.settings import SPECS, Settings


def test_settings_and_their_defaults_are_pinned() -> None:
    assert [spec.env for spec in SPECS] == [
        f"HEADWATER_{name}"
        for name in (
            "HOST PORT DATA_DIR DATABASE_URL SECRET_KEY PUBLIC_URL LOCAL_ROOT LOCAL_MIN_AGE READ_URL_TTL FEED "
            "PAGE_SIZE JWT_ISSUER JWT_AUDIENCE JWKS_URL S3_ENDPOINT STS_ENDPOINT GCS_ENDPOINT AZURE_ENDPOINT "
            "MANAGED_STORE ALLOWED_ENDPOINTS"
        ).split()
    ]
    settings = Settings.load({})
    assert (settings.host, settings.port, settings.read_url_ttl, settings.page_size) == (
        "127.0.0.1",
        8000,
        86400,
        1000,
    )
    assert settings.base_url == "http://127.0.0.1:8000"
    assert settings.feed is FeedMode.EXACT


def test_options_override_the_environment_and_empty_variables_are_unset() -> None:
    environ = {"HEADWATER_PORT": "9000", "HEADWATER_HOST": "", "HEADWATER_DATA_DIR": "data"}
    settings = Settings.load(environ, port="9001", host=None)
    assert (settings.port, settings.host) == (9001, "127.0.0.1")
    assert settings.folder == Path("data").absolute()
    assert settings.catalog_url == f"sqlite:///{Path('data').absolute()}/headwater.db"


@pytest.mark.parametrize("mode", FeedMode)
def test_feed_is_one_of_the_modes(mode: FeedMode) -> None:
    assert Settings.load({"HEADWATER_FEED": mode.value}).feed is mode


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PORT", "http"),
        ("PORT", "65536"),
        ("PORT", "-1"),
        ("PAGE_SIZE", "0"),
        ("PAGE_SIZE", "10001"),
        ("LOCAL_MIN_AGE", "-1"),
        ("LOCAL_MIN_AGE", "86401"),
        ("LOCAL_MIN_AGE", "1m"),
        ("READ_URL_TTL", "0"),
        ("READ_URL_TTL", "1h"),
        ("FEED", "server"),
        ("FEED", "EXACT"),
        ("PUBLIC_URL", "data.example.com"),
        ("PUBLIC_URL", "https://data.example.com/?a=b"),
        ("PUBLIC_URL", "https://user:word@data.example.com"),
        ("PUBLIC_URL", "https://data.example.com:port"),
        ("S3_ENDPOINT", "minio:9000"),
        ("S3_ENDPOINT", "https://minio:9000?region=a/b"),
        ("S3_ENDPOINT", "https://minio:9000?x=1"),
        ("GCS_ENDPOINT", "https://gcs:9000?region=a"),
    ],
)
def test_invalid_value_is_refused_with_the_name_of_the_setting(name: str, value: str) -> None:
    with pytest.raises(StartupError, match=f"HEADWATER_{name}: expected"):
        Settings.load({f"HEADWATER_{name}": value})


def test_endpoint_of_s3_may_name_its_region() -> None:
    endpoint = "https://minio:9000?region=RegionOne"
    assert Settings.load({"HEADWATER_S3_ENDPOINT": endpoint}).s3_endpoint == endpoint


@pytest.mark.parametrize("seconds", [0, 1, 86400])
def test_the_minimum_age_of_local_files_is_in_seconds(seconds: int) -> None:
    assert Settings.load({"HEADWATER_LOCAL_MIN_AGE": str(seconds)}).local_min_age == seconds


@pytest.mark.parametrize(
    ("environ", "url"),
    [
        ({"HOST": "0.0.0.0", "PORT": "80"}, "http://127.0.0.1:80"),
        ({"HOST": "::1"}, "http://[::1]:8000"),
        ({"PUBLIC_URL": "https://data.example.com/hw/"}, "https://data.example.com/hw"),
    ],
)
def test_base_url_comes_from_public_url_or_host_and_port(environ: dict[str, str], url: str) -> None:
    assert Settings.load({f"HEADWATER_{name}": value for name, value in environ.items()}).base_url == url


def test_repr_shows_no_secrets() -> None:
    settings = Settings.load(
        {"HEADWATER_SECRET_KEY": "k:hidden", "HEADWATER_DATABASE_URL": "postgresql://u:hidden@h/d"}
    )
    assert "hidden" not in repr(settings)
