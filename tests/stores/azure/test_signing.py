"""Signatures equal the vendor's SDK's on odd names; what is configured is told apart."""

from __future__ import annotations

import base64
import datetime
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from headwater.domain.errors import CredentialsRefusedError
from headwater.net.urls import encode_path, encode_query
from headwater.stores.azure.signing import (
    CREATE_AND_WRITE,
    READ,
    SAS_VERSION,
    BlobSigner,
    Sas,
    SharedKey,
    UnsignedRequest,
    parse_credentials,
    sign_headers,
)
from headwater.testing.prepared import ODD_KEYS
from tests.servers import AZURE_ACCOUNT, AZURE_KEY

KEY = SharedKey(AZURE_ACCOUNT, base64.b64decode(AZURE_KEY))
NOW = 1_700_000_000
SAS = "sv=2021-12-02&sr=c&sp=rl&se=2030-01-01T00%3A00%3A00Z&sig=dGVzdC1z%2Bw%3D%3D"

names = st.one_of(st.sampled_from(ODD_KEYS), st.text(min_size=1, max_size=30))


@pytest.fixture(scope="module", autouse=True)
def _their_version() -> Iterator[None]:
    """Has the SDK make SAS tokens of the version that is fixed here."""
    from azure.storage.blob import _shared_access_signature as module

    patch = pytest.MonkeyPatch()
    patch.setattr(module, "X_MS_VERSION", SAS_VERSION)
    yield
    patch.undo()


def their_headers(method: str, url: str, headers: dict[str, str]) -> str:
    """The SDK's Authorization header."""
    from azure.core.pipeline import PipelineContext, PipelineRequest
    from azure.core.pipeline.transport import HttpRequest
    from azure.storage.blob._shared.authentication import SharedKeyCredentialPolicy

    request: Any = HttpRequest(method, url, headers=headers)
    SharedKeyCredentialPolicy(AZURE_ACCOUNT, AZURE_KEY).on_request(PipelineRequest(request, PipelineContext(None)))
    return str(request.headers["Authorization"])


@settings(max_examples=200, deadline=None)
@given(
    method=st.sampled_from(["GET", "HEAD", "PUT", "DELETE"]),
    base=st.sampled_from(["", f"/{AZURE_ACCOUNT}"]),
    name=names,
    query=st.dictionaries(
        st.sampled_from(["restype", "comp", "prefix", "marker", "maxresults", "startFrom", "timeout"]), st.text()
    ),
    headers=st.sets(
        st.sampled_from(
            [
                ("x-ms-range", "bytes=0-9"),
                ("x-ms-blob-type", "BlockBlob"),
                ("x-ms-version", "2026-02-06"),
                ("content-type", "text/plain; charset=utf-8"),
                ("if-none-match", "*"),
                ("content-md5", "1B2M2Y8AsgTpgAmY7PhCfg=="),
            ]
        )
    ),
    length=st.integers(0, 10**9),
)
@example("GET", "", "a b", {"prefix": "a+b%41&=ü\U0001f98a", "marker": "2!8!a/b+c=="}, set(), 0)
def test_headers_are_signed_as_by_the_sdk(
    method: str, base: str, name: str, query: dict[str, str], headers: set[tuple[str, str]], length: int
) -> None:
    path = f"{base}/data/{encode_path(name)}"
    sent = sign_headers(UnsignedRequest(method, path, query, dict(headers), bytes(length)), KEY, NOW)
    assert sent["x-ms-date"] == "Tue, 14 Nov 2023 22:13:20 GMT"
    encoded = encode_query(query)
    theirs = {key: value for key, value in sent.items() if key != "authorization"}
    url = f"http://127.0.0.1{path}" + (f"?{encoded}" if encoded else "")
    assert sent["authorization"] == their_headers(method, url, {**theirs, "content-length": str(length)})


def test_header_values_have_single_blanks() -> None:
    """ "Replace any linear whitespace in the header value with a single space": a line break would be a header more."""
    sent = sign_headers(UnsignedRequest("GET", "/data", headers={"x-ms-meta-a": " b \r\n c "}), KEY, NOW)
    assert sent["x-ms-meta-a"] == "b c"


@settings(max_examples=200, deadline=None)
@given(
    name=names,
    permissions=st.sampled_from([READ, CREATE_AND_WRITE]),
    expires=st.integers(NOW, 4_000_000_000),
    origin=st.sampled_from([f"https://{AZURE_ACCOUNT}.blob.core.windows.net", f"http://127.0.0.1:9/{AZURE_ACCOUNT}"]),
    container=st.sampled_from(["data", "$web", "a-b-3"]),
    key=st.binary(min_size=1, max_size=100),
)
def test_urls_are_signed_as_by_the_sdk(
    name: str, permissions: str, expires: int, origin: str, container: str, key: bytes
) -> None:
    from azure.storage.blob import BlobClient, generate_blob_sas

    url = f"{origin}/{encode_path(container)}"
    (ours,) = BlobSigner(url, container, SharedKey(AZURE_ACCOUNT, key), permissions, expires).sign([name])
    token = generate_blob_sas(
        AZURE_ACCOUNT,
        container,
        name,
        account_key=base64.b64encode(key).decode(),
        permission=permissions,
        expiry=datetime.datetime.fromtimestamp(expires, datetime.UTC),
        protocol="https" if origin.startswith("https") else None,
    )
    assert ours.partition("?")[2] == token
    assert ours == f"{BlobClient(origin, container, name).url}?{token}"


def test_a_url_is_for_one_blob_and_expires() -> None:
    (url,) = BlobSigner("https://host/data", "data", KEY, READ, NOW + 60).sign(["a b.jpg"])
    query = {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()}
    assert query.pop("sig")
    assert query == {"sv": SAS_VERSION, "sr": "b", "sp": "r", "spr": "https", "se": "2023-11-14T22:14:20Z"}


# --- what is configured ---


def test_an_account_key_is_recognised() -> None:
    for text in (AZURE_KEY, f" {AZURE_KEY}\n"):
        assert parse_credentials(AZURE_ACCOUNT, text, "accountKey") == KEY
    # Ends like a parameter of a SAS token.
    assert isinstance(parse_credentials(AZURE_ACCOUNT, "AAAAsig=", "accountKey"), SharedKey)


@pytest.mark.parametrize("text", [SAS, f"?{SAS}", f"  ?{SAS}\n", SAS.replace("%2B", "+").replace("%3D", "=")])
def test_a_sas_token_is_recognised(text: str) -> None:
    sas = parse_credentials(AZURE_ACCOUNT, text, "accountKey")
    assert isinstance(sas, Sas)
    assert sas.query == SAS
    assert sas.parts["sig"] == "dGVzdC1z+w=="
    assert sas.expires == datetime.datetime(2030, 1, 1, tzinfo=datetime.UTC).timestamp()


def test_list_parameters_are_removed_from_a_token() -> None:
    sas = parse_credentials(AZURE_ACCOUNT, f"restype=container&comp=list&{SAS}&prefix=x", "accountKey")
    assert isinstance(sas, Sas)
    assert sas.query == SAS


def test_blanks_in_other_parts_are_kept() -> None:
    """Tools write a blank as `+` or `%20`; the server reads both."""
    for part in ("rscd=attachment%3B+filename%3Da", "rscd=attachment%3B%20filename%3Da", "se=2030-01-01T00:00:00Z"):
        sas = parse_credentials(AZURE_ACCOUNT, f"{SAS}&{part}", "accountKey")
        assert isinstance(sas, Sas)
        assert sas.query == f"{SAS}&{part}"


@pytest.mark.parametrize(
    ("text", "advice"),
    [
        ("test-key-id", "is neither"),
        ("********", "is neither"),
        ("", "is neither"),
        ("?", "is neither"),
        ("sig=abc", "is neither"),
        ("sv=2021-12-02&sr=c&sp=rl", "is neither"),
        ("sv=2021-12-02&tn=table&sp=r&sig=abc%3D", "is neither"),
        (f"{SAS} and more", "is neither"),
        (AZURE_KEY[:-1], "is neither"),
        (f"https://acct.blob.core.windows.net/data?{SAS}", "is a URL. Paste the part of it behind the '?'"),
        ("HTTPS://acct.blob.core.windows.net/data", "is a URL"),
        (
            f"DefaultEndpointsProtocol=https;AccountName=acct;AccountKey={AZURE_KEY};EndpointSuffix=core.windows.net",
            "is a connection string. Paste only what follows AccountKey=",
        ),
        (
            f"BlobEndpoint=https://acct.blob.core.windows.net/;SharedAccessSignature={SAS}",
            "(or SharedAccessSignature=)",
        ),
        (f"AccountKey={AZURE_KEY}", "is a connection string"),
    ],
)
def test_other_texts_are_refused(text: str, advice: str) -> None:
    with pytest.raises(CredentialsRefusedError) as refused:
        parse_credentials(AZURE_ACCOUNT, text, "accountKey")
    message = refused.value.message
    assert message.startswith("accountKey: expected an account key (base64, usually 88 characters) or a SAS token")
    assert advice in message
    for secret in (AZURE_KEY, "dGVzdC1z", "test-key-id", "acct"):
        assert secret not in message


def test_no_repr_shows_a_secret() -> None:
    for credentials in (KEY, parse_credentials(AZURE_ACCOUNT, SAS, "accountKey")):
        assert "dGVz" not in repr(credentials)
        assert "test" not in repr(credentials)
        assert "2030" not in repr(credentials)
        assert any("dGVz" in secret for secret in credentials.secrets)


# --- what a SAS token is good for ---

CONTAINER = {"sv": SAS_VERSION, "sr": "c", "sp": "rcwdl", "se": "2030-01-01T00:00:00Z", "sig": "abc="}


def sas_of(**parts: str | None) -> Sas:
    made = {name: value for name, value in {**CONTAINER, **parts}.items() if value is not None}
    sas = parse_credentials(AZURE_ACCOUNT, encode_query(made), "accountKey")
    assert isinstance(sas, Sas)
    return sas


@pytest.mark.parametrize(
    ("parts", "lack"),
    [
        ({"se": "2023-11-14T22:13:19Z"}, "expired at 2023-11-14T22:13:19Z (se)"),
        ({"se": "2023-11-14"}, "expired at 2023-11-14T00:00:00Z (se)"),
        ({"se": "2023-11-14T22:13Z"}, "expired at 2023-11-14T22:13:00Z (se)"),
        ({"se": "2023-11-14T22:13:19.1234567Z"}, "expired at 2023-11-14T22:13:19Z (se)"),
        ({"ske": "2023-11-14T22:13:19Z"}, "expired at 2023-11-14T22:13:19Z (se)"),
        ({"st": "2023-11-14T22:13:21Z"}, "not valid before 2023-11-14T22:13:21Z (st)"),
        ({"skt": "2023-11-14T22:13:21Z"}, "not valid before 2023-11-14T22:13:21Z (st)"),
        ({"sp": "cwdl"}, "lacks the permission r (sp)"),
        ({"sp": None}, "lacks the permission r (sp)"),
        ({"sr": "b"}, "is for one blob (sr=b), not for the container (sr=c)"),
        ({"sr": "bs"}, "is for one snapshot"),
        ({"sr": "bv"}, "is for one version"),
        ({"sr": "d", "sdd": "1"}, "is for one directory (sr=d)"),
        ({"sr": None, "ss": "qf", "srt": "sco"}, "not for the Blob service (ss lacks b)"),
        ({"sr": None, "ss": "b", "srt": "sc"}, "not for objects (srt lacks o)"),
    ],
)
def test_a_token_that_cannot_read_is_refused(parts: dict[str, str | None], lack: str) -> None:
    said = sas_of(**parts).lack(READ, NOW)
    assert said is not None
    assert lack in said


@pytest.mark.parametrize(
    "parts",
    [
        {},
        {"sp": "r"},
        {"sr": None, "ss": "bqt", "srt": "sco"},
        {"st": "2023-11-14T22:13:20Z"},
        {"si": "policy", "sp": None, "se": None},
        {"si": "policy", "sp": "w"},
        {"se": "whenever"},
        {"se": "2030-01-01"},
    ],
)
def test_a_token_that_may_read_is_used(parts: dict[str, str | None]) -> None:
    """Also a token whose permissions only its stored access policy knows."""
    assert sas_of(**parts).lack(READ, NOW) is None


def test_create_or_write_permission_is_enough_for_put() -> None:
    assert sas_of(sp="c").lack(CREATE_AND_WRITE, NOW) is None
    assert sas_of(sp="w").lack(CREATE_AND_WRITE, NOW) is None
    assert sas_of(sp="rl").lack(CREATE_AND_WRITE, NOW) == "the SAS token lacks the permission c or w (sp)"
