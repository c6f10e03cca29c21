"""A real OIDC issuer on loopback, which makes valid and invalid tokens.

Keys, JWK sets and signatures are made with `cryptography` only, so that neither the code under test nor PyJWT checks
itself.
"""

from __future__ import annotations

import base64
import json
import ssl
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_address
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

AUDIENCE = "https://headwater.test/api"
DISCOVERY = "/.well-known/openid-configuration"
JWKS = "/keys/jwks.json"

Json = dict[str, Any]
PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey


def b64url(data: bytes) -> str:
    """Encode as RFC 7515 does: base64url without padding."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def b64json(value: object) -> str:
    """Encode JSON as one part of a JWT."""
    return b64url(json.dumps(value).encode())


def jws(header: object, payload: object, sign: Callable[[bytes], bytes]) -> str:
    """Return a token of any header, payload and signer."""
    signed = f"{b64json(header)}.{b64json(payload)}"
    return f"{signed}.{b64url(sign(signed.encode()))}"


@dataclass(frozen=True)
class SigningKey:
    """A private key of an issuer, and the id and algorithm in its JWK."""

    private: PrivateKey
    kid: str | None
    alg: str

    def sign(self, data: bytes) -> bytes:
        """Sign as RFC 7518 defines for RS256 and ES256, and RFC 8037 for EdDSA."""
        if isinstance(self.private, rsa.RSAPrivateKey):
            return self.private.sign(data, padding.PKCS1v15(), SHA256())
        if isinstance(self.private, ec.EllipticCurvePrivateKey):
            r, s = decode_dss_signature(self.private.sign(data, ec.ECDSA(SHA256())))
            return r.to_bytes(32, "big") + s.to_bytes(32, "big")
        return self.private.sign(data)

    def jwk(self) -> Json:
        """Return the public key as a JWK, with `use` and `alg`, as most issuers publish it."""
        jwk: Json = {"use": "sig", "alg": self.alg}
        if self.kid is not None:
            jwk["kid"] = self.kid
        public = self.private.public_key()
        if isinstance(public, rsa.RSAPublicKey):
            n, e = public.public_numbers().n, public.public_numbers().e
            size = (public.key_size + 7) // 8
            return jwk | {"kty": "RSA", "n": b64url(n.to_bytes(size, "big")), "e": b64url(e.to_bytes(3, "big"))}
        if isinstance(public, ec.EllipticCurvePublicKey):
            x, y = public.public_numbers().x, public.public_numbers().y
            point = {"x": b64url(x.to_bytes(32, "big")), "y": b64url(y.to_bytes(32, "big"))}
            return jwk | {"kty": "EC", "crv": "P-256"} | point
        return jwk | {"kty": "OKP", "crv": "Ed25519", "x": b64url(public.public_bytes_raw())}


def signing_key(alg: str, kid: str | None, number: int = 0) -> SigningKey:
    """Return a key for RS256, ES256 or EdDSA. Each `number` is another key, whatever its kid."""
    return SigningKey(_private_key(alg, number), kid, alg)


@cache  # Making an RSA key takes up to a second.
def _private_key(alg: str, number: int) -> PrivateKey:
    if alg == "RS256":
        return rsa.generate_private_key(public_exponent=65537, key_size=2048)
    if alg == "ES256":
        return ec.generate_private_key(ec.SECP256R1())
    return ed25519.Ed25519PrivateKey.generate()


def self_signed(folder: Path) -> Path:
    """Make a PEM file with a certificate for 127.0.0.1 that no machine trusts, and its key."""
    private = signing_key("ES256", None).private
    assert isinstance(private, ec.EllipticCurvePrivateKey)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "issuer.test")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder(name, name, private.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(private, SHA256())
    )
    pem = folder / "certificate.pem"
    key = private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    pem.write_bytes(certificate.public_bytes(Encoding.PEM) + key)
    return pem


class Issuer:
    """An OIDC issuer on a free port of loopback: a discovery document, a JWK set, and tokens.

    With a `certificate` (a PEM file with its key) it uses https.

    `keys`, `jwks`, `discovery`, `status` and `delay` can be changed at any time and apply from the next request on.
    `requests` has the path of every request, in order.
    """

    def __init__(self, *keys: SigningKey, path: str = "", certificate: Path | None = None) -> None:
        self.keys = list(keys) or [signing_key("RS256", "first")]
        self.requests: list[str] = []
        self.status = 200
        self.delay = 0.0
        self.jwks: Callable[[], bytes] = lambda: json.dumps({"keys": [key.jwk() for key in self.keys]}).encode()
        self.discovery: Callable[[], bytes] = lambda: json.dumps(
            {"issuer": self.url, "jwks_uri": self.jwks_url, "token_endpoint": f"{self.url}/token"}
        ).encode()
        self._path = path
        self._certificate = certificate
        self.port = 0
        self._start()
        base = f"{'https' if certificate else 'http'}://127.0.0.1:{self.port}"
        self.url = f"{base}{path}"
        self.jwks_url = f"{base}{JWKS}"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def stop(self) -> None:
        """Stop the issuer. From then on it refuses connections."""
        if self._thread.is_alive():
            self._server.shutdown()
            self._thread.join()
        self._server.server_close()

    def come_back(self) -> None:
        """Start the issuer again, at the same address."""
        self._start()

    def fetches(self) -> int:
        """Return the number of requests for the JWK set."""
        return self.requests.count(JWKS)

    def claims(self, changed: Mapping[str, object] | None = None, **more: object) -> Json:
        """Return valid claims, with these changes. None leaves a claim out."""
        now = int(time.time())
        claims: Json = {
            "iss": self.url,
            "aud": AUDIENCE,
            "sub": "auth0|someone",
            "iat": now,
            "nbf": now,
            "exp": now + 600,
        }
        return {name: value for name, value in (claims | dict(changed or {}) | more).items() if value is not None}

    def token(
        self,
        key: SigningKey | None = None,
        header: Mapping[str, object] | None = None,
        claims: Mapping[str, object] | None = None,
        **more_claims: object,
    ) -> str:
        """Return a token, signed with `key` or the first key. `header` and the claims may make it invalid."""
        key = key or self.keys[0]
        good: Json = {"alg": key.alg, "typ": "JWT", "kid": key.kid}
        shown = {name: value for name, value in (good | dict(header or {})).items() if value is not None}
        return jws(shown, self.claims(claims, **more_claims), key.sign)

    def _start(self) -> None:
        self._server = _Server(("127.0.0.1", self.port), self)
        self.port = self._server.server_address[1]
        if self._certificate:
            context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
            context.load_cert_chain(self._certificate)
            self._server.socket = context.wrap_socket(
                self._server.socket, server_side=True, do_handshake_on_connect=False
            )
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()

    def _answer(self, path: str) -> tuple[int, bytes]:
        self.requests.append(path)
        time.sleep(self.delay)
        document = {self._path + DISCOVERY: self.discovery, JWKS: self.jwks}.get(path)
        return (self.status, document()) if document else (404, b"{}")


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def __init__(self, address: tuple[str, int], issuer: Issuer) -> None:
        self.issuer = issuer
        super().__init__(address, _Handler)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Log nothing: clients that disconnect early are part of the tests."""


class _Handler(BaseHTTPRequestHandler):
    server: _Server

    def do_GET(self) -> None:
        status, body = self.server.issuer._answer(self.path)
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        if status in (301, 302, 307):
            self.send_header("Location", self.server.issuer.jwks_url)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 -- the name of the base class
        pass
