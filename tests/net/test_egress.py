"""Which addresses a user's endpoint may resolve to."""

from __future__ import annotations

import pytest
from structlog.testing import capture_logs

from headwater.domain.errors import LocationInvalidError, StartupError
from headwater.net.egress import Egress
from tests.confinement.egress_vectors import GUARDED, NEVER

PUBLIC = "8.8.8.8 1.1.1.1 172.32.0.1 100.128.0.1 2606:4700::1111 2a00:1450::1 ::ffff:8.8.8.8 64:ff9b::8.8.8.8".split()

EVERYTHING = "0.0.0.0/0, ::/0"


@pytest.mark.parametrize("address", NEVER)
def test_address_is_never_contacted_whatever_the_setting(address: str) -> None:
    for allowed in ("", EVERYTHING, "store.test", address.partition("%")[0]):
        with pytest.raises(LocationInvalidError, match=r"may not be contacted.*HEADWATER_ALLOWED_ENDPOINTS"):
            Egress.parse(allowed).check("store.test", [address])


@pytest.mark.parametrize("address", GUARDED)
def test_internal_address_needs_the_setting(address: str) -> None:
    with pytest.raises(LocationInvalidError, match=r"'store.test'.*can allow it with HEADWATER_ALLOWED_ENDPOINTS"):
        Egress.parse("").check("store.test", [address])
    with pytest.raises(LocationInvalidError):
        Egress.parse("other.test, 10.255.0.0/16").check("store.test", [address])
    assert Egress.parse("store.test").check("store.test", [address]) == [address]
    assert Egress.parse(address).check("store.test", [address]) == [address]


@pytest.mark.parametrize("address", PUBLIC)
def test_public_address_is_allowed(address: str) -> None:
    assert Egress.parse("").check("store.test", [address]) == [address]


def test_embedded_ipv4_address_is_allowed_by_its_network() -> None:
    egress = Egress.parse("10.1.0.0/16")
    assert egress.check("store.test", ["::ffff:10.1.2.3"]) == ["::ffff:10.1.2.3"]
    with pytest.raises(LocationInvalidError):
        egress.check("store.test", ["::ffff:10.2.0.1"])


def test_refused_addresses_are_left_out_and_order_is_kept() -> None:
    found = ["10.0.0.1", "8.8.8.8", "169.254.169.254", "1.1.1.1"]
    assert Egress.parse("").check("store.test", found) == ["8.8.8.8", "1.1.1.1"]


@pytest.mark.parametrize("host", ["minio.internal", "MinIO.Internal", "minio.internal."])
def test_names_match_in_every_spelling(host: str) -> None:
    for allowed in ("minio.internal", "MINIO.internal.", " other , minio.internal"):
        assert Egress.parse(allowed).check(host, ["10.0.0.1"]) == ["10.0.0.1"]
    with pytest.raises(LocationInvalidError):
        Egress.parse("internal").check(host, ["10.0.0.1"])


def test_international_names_match_their_dns_form() -> None:
    assert Egress.parse("bücher.example").check("xn--bcher-kva.example", ["10.0.0.1"]) == ["10.0.0.1"]


def test_error_about_a_name_does_not_tell_whether_it_exists() -> None:
    """Users could explore the operator's network: the text said that a name was unknown, or what address it has."""
    with capture_logs() as logs:
        texts = set()
        for addresses in ([], ["10.11.12.13"], ["127.0.0.1"], ["169.254.169.254"], ["fe80::1%eth0"]):
            with pytest.raises(LocationInvalidError) as refusal:
                Egress.parse("").check("db.internal", addresses)
            texts.add(refusal.value.message)
    assert len(texts) == 1
    assert "HEADWATER_ALLOWED_ENDPOINTS" in texts.pop()
    assert [line["reason"] for line in logs] == [
        "it is unknown",
        *(f"it has {kind} address" for kind in ("a private", "a loopback", "a metadata", "a link-local")),
    ], "the operator's log has the reason"


def test_error_about_a_literal_address_names_its_kind() -> None:
    with pytest.raises(LocationInvalidError, match=r"'10\.11\.12\.13' is a private address") as refusal:
        Egress.parse("").check("10.11.12.13", ["10.11.12.13"])
    assert "HEADWATER_ALLOWED_ENDPOINTS" in refusal.value.message


@pytest.mark.parametrize(
    "entry",
    [
        "10.0.0.1/8",
        "10.0.0.0/33",
        "host:9000",
        "http://host",
        "300.1.1.1",
        "1.2.3",
        "a b",
        "*.example.com",
        "host/x",
        "a..b",
    ],
)
def test_malformed_setting_is_named(entry: str) -> None:
    with pytest.raises(StartupError) as error:
        Egress.parse(f"10.0.0.0/8, {entry}")
    assert "HEADWATER_ALLOWED_ENDPOINTS" in error.value.message
    assert repr(entry) in error.value.message


@pytest.mark.parametrize(
    "entry", ["", " , ", "localhost", "minio_1", "::1", "[::1]", "10.0.0.0/8", "fd00::/8", "a.b.c."]
)
def test_valid_setting_is_accepted(entry: str) -> None:
    Egress.parse(entry)


@pytest.mark.parametrize(
    ("entry", "kind"),
    [
        ("169.254.169.254", "a metadata"),
        ("169.254.7.0/24", "a link-local"),
        ("[fe80::1]", "a link-local"),
        ("0.0.0.0/0", None),
        ("10.0.0.0/8", None),
        ("::/0", None),
    ],
)
def test_entry_that_has_no_effect_is_logged(entry: str, kind: str | None) -> None:
    """Metadata addresses in the setting were accepted without a word, and are never contacted."""
    with capture_logs() as logs:
        Egress.parse(entry)
    expected = {"event": "allowed_endpoint_without_effect", "log_level": "warning", "entry": entry}
    assert logs == ([{**expected, "reason": f"it is {kind} address"}] if kind else [])


@pytest.mark.parametrize("host", ["oauth2.googleapis.com", "sts.amazonaws.com"])
def test_unknown_host_that_nobody_has_spelled_is_a_matter_of_the_network(host: str) -> None:
    """Users were told to check how the endpoint is spelled, and operators to allow the host."""
    with pytest.raises(LocationInvalidError, match="must check its DNS") as refusal:
        Egress.parse("").check(host, [])
    assert "spelled" not in refusal.value.message
    assert "HEADWATER_ALLOWED_ENDPOINTS" not in refusal.value.message
