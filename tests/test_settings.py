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
            "HOST PORT DATA_DIR DATABASE_URL SECRET_KEY PUBLIC_URL TRUSTED_PROXIES LOCAL_ROOT LOCAL_MIN_AGE "
            "READ_URL_TTL FEED PAGE_SIZE AUDIT_RETENTION_DAYS JWT_ISSUER JWT_AUDIENCE JWKS_URL JWT_GROUPS_CLAIM "
            "S3_ENDPOINT STS_ENDPOINT GCS_ENDPOINT AZURE_ENDPOINT MANAGED_STORE ALLOWED_ENDPOINTS "
            "METRICS_PORT METRICS_HOST METRICS_TOKEN METRICS_MAX_DATASETS"
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
        ("METRICS_PORT", "65536"),
        ("METRICS_TOKEN", "fifteen-letters"),
        ("METRICS_TOKEN", "sixteen letters."),
        ("METRICS_MAX_DATASETS", "10001"),
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


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("LOCAL_MIN_AGE", "1m", "expected a whole number of seconds from 0 to 86400, not '1m'"),
        ("READ_URL_TTL", "0", "expected a whole number of seconds from 1 to 315360000, not '0'"),
        ("PAGE_SIZE", "1e3", "expected a whole number of samples from 1 to 10000, not '1e3'"),
        ("PORT", "9" * 5000, "expected a whole number from 0 to 65535, not '" + "9" * 100 + "'..."),
        ("FEED", "latest", "expected exact or dates, not 'latest'"),
        ("S3_ENDPOINT", "minio:9000", "credentials, not 'minio:9000'"),
    ],
)
def test_error_repeats_the_value_and_names_the_unit(name: str, value: str, expected: str) -> None:
    """`HEADWATER_LOCAL_MIN_AGE: expected a whole number` told neither of what nor what was given."""
    with pytest.raises(StartupError) as caught:
        Settings.load({f"HEADWATER_{name}": value})
    assert caught.value.message.endswith(expected)


@pytest.mark.parametrize("value", ["https://me:hidden@host", "https://host/?key=hidden", "https://host/#hidden"])
def test_error_does_not_repeat_what_may_be_a_secret(value: str) -> None:
    with pytest.raises(StartupError, match=r"without (a )?query") as caught:
        Settings.load({"HEADWATER_S3_ENDPOINT": value})
    assert "hidden" not in caught.value.message


@pytest.mark.parametrize(
    ("name", "value"), [("DATA_DIR", "~/x"), ("LOCAL_ROOT", "~/x"), ("LOCAL_ROOT", "~no-such-user/x")]
)
def test_home_folder_that_does_not_exist_is_an_error(name: str, value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """For a user without an entry in the list of users, a setting with `~` was a traceback."""
    _remove_home(monkeypatch)
    with pytest.raises(StartupError, match=f"HEADWATER_{name}: '~.*absolute path"):
        Settings.load({f"HEADWATER_{name}": value})


def test_without_a_home_folder_the_data_folder_must_be_set(monkeypatch: pytest.MonkeyPatch) -> None:
    """It was a traceback, or with earlier versions of platformdirs a folder named `~`."""
    _remove_home(monkeypatch)
    with pytest.raises(StartupError, match="HEADWATER_DATA_DIR: required"):
        _ = Settings.load({}).folder
    with pytest.raises(StartupError, match=r"HEADWATER_DATABASE_URL: '~/x\.db'"):
        _ = Settings.load({"HEADWATER_DATABASE_URL": "sqlite:///~/x.db"}).catalog_url


def test_home_folder_is_expanded_in_every_setting_with_a_path(monkeypatch: pytest.MonkeyPatch) -> None:
    """`sqlite:///~/x.db` made a folder named `~`."""
    monkeypatch.setenv("HOME", "/home/ada")
    names = ("DATA_DIR", "LOCAL_ROOT", "DATABASE_URL")
    values = ("~/data", "~/files", "sqlite:///~/x.db")
    settings = Settings.load({f"HEADWATER_{name}": value for name, value in zip(names, values, strict=True)})
    assert (settings.folder, settings.mount_root) == (Path("/home/ada/data"), Path("/home/ada/files"))
    assert settings.sqlite_file == Path("/home/ada/x.db")


def _remove_home(monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(_: object) -> None:
        raise KeyError

    for name in ("HOME", "XDG_DATA_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("pwd.getpwuid", unknown)


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
