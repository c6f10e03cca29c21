"""The key file of a service account, and its access tokens.

Sources: "Using OAuth 2.0 for Server to Server Applications" of Google (HTTP/REST), RFC 7523, RFC 6749.

google-auth makes the assertion. Its exchange of the assertion for a token is not used: it retries failed requests with
pauses of seconds and contacts further hosts about the account, and a caller can limit neither.
"""

from __future__ import annotations

import hashlib
import re
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from urllib.parse import urlencode

import msgspec
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from google.auth import crypt, jwt

from headwater.domain.errors import CredentialsRefusedError, LocationInvalidError, StoreError
from headwater.domain.key_file import find_key_file, no_key_file, unescaped_pem
from headwater.net.egress import SETTING, Egress
from headwater.net.refreshing import Expiring, RefreshingCache
from headwater.net.transport import Request, Response, Transport
from headwater.net.urls import Origin, parse_endpoint
from headwater.stores.error_mapping import MAX_ERROR_BODY_BYTES, AdviceFields, apply_rule, count_error
from headwater.stores.gcs.error_codes import TOKEN_RULES, is_transient_token_error, read_token_error
from headwater.stores.gcs.listing import UNREADABLE
from headwater.stores.gcs.signing import in_thread

SCOPE = "https://www.googleapis.com/auth/devstorage.read_write"
AUDIENCE = "https://oauth2.googleapis.com/token"
"""The audience of assertions, whatever host they are sent to ("this value is always …")."""

GOOGLE_HOSTS = frozenset({"oauth2.googleapis.com", "accounts.google.com", "www.googleapis.com"})
"""The hosts of Google in a `token_uri`."""

ASSERTION_LIFE_SECONDS = 3600
MAX_TOKEN_LIFE_SECONDS = 43_200
"""The longest life of an access token: twelve hours if an organisation allows that, otherwise one hour."""

MAX_KEY_FILE_BYTES = 32 * 2**10
MAX_PEM_BYTES = 4 * 2**10
"""A key of 4,096 bits has 3.3 kB. Checking a longer one, which Google never makes, takes many seconds."""

MIN_KEY_BITS = 1024
MAX_CACHED_KEY_FILES = 256
"""Key files whose private key is kept loaded; checking one takes 50 ms."""

_GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer"
_KINDS = {
    "authorized_user": "the credentials of a user",
    "external_account": "the configuration of a workload identity federation",
    "external_account_authorized_user": "the credentials of a user of a workforce",
    "impersonated_service_account": "the impersonation of a service account",
    "gdch_service_account": "a service account of Google Distributed Cloud",
}
_email = re.compile(r"[\x21-\x3f\x41-\x7e]{1,200}@[\x21-\x3f\x41-\x7e]{1,200}").fullmatch
_plain_word = re.compile(r"[\x21-\x7e]{1,200}").fullmatch


@dataclass(frozen=True, slots=True)
class KeyFile:
    """The key file of a service account. Its repr shows none of it.

    Attributes:
        email: the service account.
        key_id: the id of the key.
        digest: the hash of the complete text, which identifies the file.
        token_origin: the server of the token endpoint.
        token_target: the path of the token endpoint.
    """

    email: str = field(repr=False)
    key_id: str = field(repr=False)
    digest: str = field(repr=False)
    token_origin: Origin = field(repr=False)
    token_target: str = field(repr=False)
    _pem: _Pem = field(repr=False)

    async def private_key(self, member: str) -> RSAPrivateKey:
        """Return the private key.

        Args:
            member: the config member or setting that holds the file, for the error text.

        Raises:
            CredentialsRefusedError: the key cannot be read, or is of a kind that Google does not make.
        """
        loaded = self._pem.loaded
        found = await in_thread(self._pem.load) if loaded is None else loaded
        if isinstance(found, str):
            raise CredentialsRefusedError(
                f"{member}: private_key of the key file {found}. Send the downloaded file unchanged, or make a new key"
            )
        return found


class _Pem:
    """A private key as text. It is parsed once, when it is first needed, because that takes 50 ms."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._lock = threading.Lock()
        self.loaded: RSAPrivateKey | str | None = None

    def load(self) -> RSAPrivateKey | str:
        """Return the key, or what is wrong with it."""
        with self._lock:
            if self.loaded is None:
                self.loaded = _load(self._text)
                self._text = ""
            return self.loaded


def read_key_file(text: str, member: str, egress: Egress) -> KeyFile:
    """Return a key file, read from JSON. This is fast: the private key is parsed when it is needed.

    Args:
        text: the content of the file.
        member: the config member or setting that holds it, for error texts.
        egress: says which hosts besides Google's may be sent assertions.

    Raises:
        CredentialsRefusedError: the text is not the key file of a service account. No error repeats any of it.
        LocationInvalidError: its token endpoint is not Google's.
    """
    digest = hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()
    with _key_files_lock:
        known = _key_files.get(digest)
        if known is not None:
            _key_files.move_to_end(digest)
    key_file = known or _parse(text, digest, member)
    _check_token_host(key_file.token_origin, member, egress)
    with _key_files_lock:
        _key_files.setdefault(digest, key_file)
        if len(_key_files) > MAX_CACHED_KEY_FILES:
            _key_files.popitem(last=False)
        return _key_files.get(digest, key_file)


class AccessTokens:
    """The access tokens of one service account, fetched once for all requests and renewed before they expire.

    Args:
        transport: sends the requests.
        key_file: of the service account.
        member: the config member or setting that holds the key file, for error texts.
        tokens: keeps them.
        clock: returns Unix seconds.
    """

    def __init__(
        self,
        transport: Transport,
        key_file: KeyFile,
        member: str,
        tokens: RefreshingCache[str],
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._transport = transport
        self._key_file = key_file
        self._member = member
        self._tokens = tokens
        self._clock = clock
        self._key = ("gcs", key_file.digest, str(key_file.token_origin), key_file.token_target, SCOPE)

    async def get(self) -> str:
        """Return a token.

        Raises:
            StoreError: no token could be fetched.
        """
        return await self._tokens.get(self._key, self._fetch)

    def report_refused(self, token: str) -> bool:
        """Record that the store refused a token, and return whether `get` may now return another one."""
        return self._tokens.forget(self._key, token)

    async def _fetch(self) -> Expiring[str]:
        key_file = self._key_file
        private_key = await key_file.private_key(self._member)
        assertion = await in_thread(_make_assertion, key_file, private_key, int(self._clock()))
        request = Request(
            method="POST",
            origin=key_file.token_origin,
            target=key_file.token_target,
            headers={"content-type": "application/x-www-form-urlencoded", "accept": "application/json"},
            body=urlencode({"grant_type": _GRANT, "assertion": assertion}).encode(),
            is_operator_endpoint=False,
            max_body_bytes=MAX_ERROR_BODY_BYTES,
            should_retry=is_transient_token_error,
            provider="gcs",
            # A second token does no harm.
            is_idempotent=True,
        )
        response = await self._transport.request(request)
        if response.status != 200:
            raise self._error(response, assertion)
        try:
            answer = _tokens.decode(response.body)
            life = min(int(answer.expires_in), MAX_TOKEN_LIFE_SECONDS)
        except (*UNREADABLE, ValueError):
            raise self._no_token_endpoint() from None
        if life < 1 or not answer.access_token.isascii() or not re.fullmatch(r"[\x21-\x7e]+", answer.access_token):
            raise self._no_token_endpoint()
        now = self._clock()
        # A token expires a little early here, because requests take some time.
        return Expiring(answer.access_token, now + life / 2, now + life - min(60.0, life / 10))

    def _no_token_endpoint(self) -> LocationInvalidError:
        return LocationInvalidError(
            f"{self._key_file.token_origin} answered with no access token. Check token_uri in {self._member}"
        )

    def _error(self, response: Response, assertion: str) -> StoreError:
        member = self._member
        fields = AdviceFields(
            key_id=member,
            secret=member,
            endpoint=f"token_uri in {member}",
            path=f"token_uri in {member}",
            container="bucket",
            protocol="OAuth 2.0",
            permission_advice=f"Check {member}",
            region_advice=f"Check token_uri in {member}. Redirects are not followed",
        )
        error = read_token_error(response)
        count_error("gcs", TOKEN_RULES, error.code, error.rule_code)
        return apply_rule(error, TOKEN_RULES, "Google gave no access token", fields, (assertion,))


class _Token(msgspec.Struct):
    access_token: str
    expires_in: int | str


_tokens = msgspec.json.Decoder(_Token)
_key_files: OrderedDict[str, KeyFile] = OrderedDict()
_key_files_lock = threading.Lock()


def _parse(text: str, digest: str, member: str) -> KeyFile:
    if len(text) > MAX_KEY_FILE_BYTES:
        raise CredentialsRefusedError(f"{member}: expected the key file of a service account, of a few kB")
    found = find_key_file(text)
    if found is None:
        raise CredentialsRefusedError(f"{member}: {no_key_file(text)}")
    kind = found.get("type")
    if kind != "service_account":
        what = _KINDS.get(kind) if isinstance(kind, str) else None
        raise CredentialsRefusedError(
            f"{member}: expected the key file of a service account (its type is service_account)"
            f"{', and this is ' + what if what else ''}. Make a key for a service account and send its file"
        )
    if found.get("universe_domain", "googleapis.com") != "googleapis.com":
        raise CredentialsRefusedError(
            f"{member}: universe_domain of the key file is another cloud than Google's own (googleapis.com)"
        )
    values: dict[str, str] = {}
    for name in ("client_email", "private_key_id", "private_key", "token_uri"):
        value = found.get(name)
        if not isinstance(value, str) or not value:
            raise CredentialsRefusedError(
                f"{member}: the key file lacks {name}. Send all that the downloaded file holds"
            )
        values[name] = value
    for name, matches in (("client_email", _email), ("private_key_id", _plain_word)):
        if not matches(values[name]):
            raise CredentialsRefusedError(f"{member}: {name} of the key file is none. Check how the file was copied")
    origin, path = parse_endpoint(values["token_uri"].strip(), f"token_uri in {member}")
    pem = _Pem(unescaped_pem(values["private_key"]))
    return KeyFile(values["client_email"], values["private_key_id"], digest, origin, path or "/", pem)


def _check_token_host(origin: Origin, member: str, egress: Egress) -> None:
    if (origin.scheme, origin.port) == ("https", 443) and origin.host in GOOGLE_HOSTS:
        return
    # An assertion is worth as much as a password while it is valid: send it to no host that a user names.
    if not egress.names(origin.host):
        raise LocationInvalidError(
            f"token_uri in {member}: expected https://oauth2.googleapis.com/token, as Google writes it. "
            f"The operator of this server can allow another host with {SETTING}"
        )


def _load(pem: str) -> RSAPrivateKey | str:
    if len(pem) > MAX_PEM_BYTES:
        return "is longer than any that Google makes"
    try:
        key = load_pem_private_key(pem.encode(), None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        return "cannot be read"
    if not isinstance(key, RSAPrivateKey):
        return "is not an RSA key"
    return key if key.key_size >= MIN_KEY_BITS else f"has fewer than {MIN_KEY_BITS} bits"


def _make_assertion(key_file: KeyFile, private_key: RSAPrivateKey, now: int) -> str:
    claims = {"iss": key_file.email, "scope": SCOPE, "aud": AUDIENCE, "iat": now, "exp": now + ASSERTION_LIFE_SECONDS}
    signer = crypt.RSASigner(private_key, key_file.key_id)  # type: ignore[no-untyped-call]
    assertion: bytes = jwt.encode(signer, claims)  # type: ignore[no-untyped-call]
    return assertion.decode()
