"""A Cloud Storage in miniature: the JSON API, signed URLs and the token endpoint, over real HTTP on loopback.

There is no emulator that lists as Cloud Storage does. This one follows its reference: pages by `startOffset`,
`maxResults` and `pageToken`; bearer tokens that it handed out itself, for assertions whose signature it verified;
permissions that can be taken away one at a time, with Google's own words; V4 signatures verified with the public key.

    with GcsServer() as gcs:
        gcs.put("bucket", "a.jpg", b"...", created=1_700_000_000.5)
        gcs.permissions.discard("storage.objects.list")
"""

from __future__ import annotations

import base64
import calendar
import hashlib
import json
import re
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from types import TracebackType
from typing import Any, Self
from urllib.parse import unquote_to_bytes
from xml.sax.saxutils import escape

import jwt
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.hashes import SHA256

from headwater.testing.fault_proxy import FaultProxy, Request, Status

EMAIL = "reader@test-project.iam.gserviceaccount.com"
KEY_ID = "test-key-id"
SCOPE = "https://www.googleapis.com/auth/devstorage.read_write"
AUDIENCE = "https://oauth2.googleapis.com/token"
ALL = frozenset(f"storage.objects.{verb}" for verb in ("list", "get", "create", "delete"))


@cache
def private_key(bits: int = 2048) -> rsa.RSAPrivateKey:
    """A key for this run of the tests alone."""
    return rsa.generate_private_key(65537, bits)


def pem(key: Any) -> str:
    """A private key as key files hold it."""
    written: bytes = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return written.decode()


def key_file(token_uri: str | None = AUDIENCE, **more: Any) -> dict[str, Any]:
    """What the key file of the service account holds; members set to None are left out."""
    found = {
        "type": "service_account",
        "project_id": "test-project",
        "private_key_id": KEY_ID,
        "private_key": pem(private_key()),
        "client_email": EMAIL,
        "client_id": "100000000000000000000",
        "auth_uri": "https://accounts.google.com/o/oauth2/auth",
        "token_uri": token_uri,
        "universe_domain": "googleapis.com",
        **more,
    }
    return {name: value for name, value in found.items() if value is not None}


@dataclass
class Stored:
    """An object."""

    data: bytes
    created: float
    generation: int
    metageneration: int = 1


class Refused(Exception):
    """An error of the JSON API."""

    def __init__(self, status: int, reason: str, message: str) -> None:
        super().__init__(message)
        self.status, self.reason, self.message = status, reason, message


class RefusedXml(Exception):
    """An error of the XML API, which signed URLs belong to."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status, self.code, self.message = status, code, message


@dataclass
class GcsServer:
    """See the module's docstring.

    `permissions` are those of the service account. `pages` are the most items of the next list pages, in order, used
    up; 0 makes a page without items that goes on. `most` is the longest page at any time. `refuses` makes every token
    one that is not taken. With `versioned`, replaced and deleted objects are kept in `noncurrent`, as keys with
    generations. `now` gives Unix seconds. `faults` are what happens to the next requests (`FaultProxy`).
    """

    permissions: set[str] = field(default_factory=lambda: set(ALL))
    pages: deque[int] = field(default_factory=deque)
    most: int = 1000
    token_life: int = 3599
    account_exists: bool = True
    refuses: bool = False
    versioned: bool = False
    noncurrent: list[tuple[str, int]] = field(default_factory=list)
    now: Callable[[], float] = time.time

    def __post_init__(self) -> None:
        self.buckets: dict[str, dict[str, Stored]] = {"bucket": {}}
        self.tokens: dict[str, float] = {}
        self._made = 0
        self._proxy = FaultProxy(respond=self._respond)
        self.faults = self._proxy.faults

    def __enter__(self) -> Self:
        self._proxy.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._proxy.__exit__(kind, error, trace)

    @property
    def url(self) -> str:
        """Where it listens."""
        return self._proxy.url

    @property
    def requests(self) -> list[Request]:
        """The requests for objects, without those for tokens."""
        return [request for request in self._proxy.requests if request.target != "/token"]

    @property
    def token_requests(self) -> int:
        """How often a token was asked for."""
        return len(self._proxy.requests) - len(self.requests)

    def put(self, bucket: str, key: str, data: bytes = b"content", created: float | None = None) -> None:
        """Make or replace an object behind the API's back."""
        self._made += 1
        moment = self.now() if created is None else created
        self._keep(self.buckets.setdefault(bucket, {}), key)
        self.buckets.setdefault(bucket, {})[key] = Stored(data, moment, 1_700_000_000_000_000 + self._made)

    def _keep(self, objects: dict[str, Stored], key: str) -> None:
        if self.versioned and key in objects:
            self.noncurrent.append((key, objects[key].generation))

    def update_metadata(self, bucket: str, key: str) -> None:
        """Change the metadata of an object behind the API's back."""
        self.buckets[bucket][key].metageneration += 1

    def key_file(self, **more: Any) -> dict[str, Any]:
        """The service account's key file, with this server's token endpoint."""
        return key_file(**{"token_uri": f"{self.url}/token", **more})

    # --- requests ---

    def _respond(self, request: Request) -> Status:
        path, _, query = request.target.partition("?")
        try:
            if path == "/token":
                return self._give_token(request)
            found = re.fullmatch(r"(/upload|/download)?/storage/v1/b/([^/]+)/o(?:/([^/]*))?", path)
            if not found:
                return self._signed(request, path, query)
            self._authorize(request)
            bucket = found[2]
            if bucket not in self.buckets:
                raise Refused(404, "notFound", "The specified bucket does not exist.")
            asked = _query(query)
            if found[3] is not None:
                return self._object(request, bucket, _decoded(found[3]), asked)
            if request.method == "POST" and found[1] == "/upload":
                return self._insert(request, bucket, asked)
            return self._list(bucket, asked)
        except Refused as error:
            if path != "/token" and request.method == "GET" and "alt=media" in query:
                return Status(error.status, error.message.encode(), {"content-type": "text/html; charset=UTF-8"})
            return _json(
                error.status,
                {
                    "error": {
                        "code": error.status,
                        "message": error.message,
                        "errors": [{"message": error.message, "domain": "global", "reason": error.reason}],
                    }
                },
            )
        except RefusedXml as refusal:
            body = f"<?xml version='1.0' encoding='UTF-8'?><Error><Code>{refusal.code}</Code>"
            body += f"<Message>{escape(refusal.message)}</Message></Error>"
            data = b"" if request.method == "HEAD" else body.encode()
            return Status(refusal.status, data, {"content-type": "application/xml; charset=UTF-8"})

    def _give_token(self, request: Request) -> Status:
        form = _query(request.body.decode("latin-1").replace("+", "%20"))
        if form.get("grant_type") != "urn:ietf:params:oauth:grant-type:jwt-bearer" or "assertion" not in form:
            return _json(400, {"error": "unsupported_grant_type", "error_description": "Invalid grant_type"})

        def refuse(error: str, description: str) -> Status:
            return _json(400, {"error": error, "error_description": description})

        assertion = form["assertion"]
        try:
            header = jwt.get_unverified_header(assertion)
            claims = jwt.decode(
                assertion,
                private_key().public_key(),
                algorithms=["RS256"],
                options={"verify_exp": False, "verify_iat": False, "verify_aud": False},
            )
        except jwt.InvalidTokenError:
            return refuse("invalid_grant", "Invalid JWT Signature.")
        if header.get("kid") != KEY_ID:
            return refuse("invalid_grant", "Invalid JWT Signature.")
        if claims["iss"] != EMAIL or not self.account_exists:
            return refuse("invalid_grant", "Invalid grant: account not found")
        now = self.now()
        if not now - 3900 < claims["iat"] < now + 300 or not now < claims["exp"] <= claims["iat"] + 3600:
            return refuse(
                "invalid_grant",
                "Invalid JWT: Token must be a short-lived token (60 minutes) and in a reasonable timeframe. Check "
                "your iat and exp values in the JWT claim.",
            )
        if claims["aud"] != AUDIENCE:
            return refuse("invalid_grant", "Invalid JWT: Failed audience check.")
        if claims["scope"] != SCOPE:
            return refuse("invalid_scope", "Invalid OAuth scope or ID token audience provided.")
        token = f"ya29.test-token-{len(self.tokens)}"
        self.tokens[token] = now + self.token_life
        return _json(200, {"access_token": token, "expires_in": self.token_life, "token_type": "Bearer"})

    def _authorize(self, request: Request) -> None:
        sent = request.headers.get("authorization")
        if sent is None:
            raise Refused(401, "required", "Anonymous caller does not have storage.objects access to the bucket.")
        if self.refuses or self.tokens.get(sent.removeprefix("Bearer "), 0) <= self.now():
            raise Refused(401, "authError", "Invalid Credentials")

    def _need(self, verb: str, what: str = "object") -> None:
        permission = f"storage.objects.{verb}"
        if permission not in self.permissions:
            raise Refused(
                403,
                "forbidden",
                f"{EMAIL} does not have {permission} access to the Google Cloud Storage {what}. "
                f"Permission '{permission}' denied on resource (or it may not exist).",
            )

    def _list(self, bucket: str, asked: dict[str, str]) -> Status:
        self._need("list", "bucket")
        prefix, start = asked.get("prefix", ""), asked.get("startOffset", "")
        most = min(int(asked.get("maxResults", "1000")), self.most, 1000)
        if most < 1:
            raise Refused(400, "invalid", "Invalid argument.")
        past = None
        if "pageToken" in asked:
            past = json.loads(base64.urlsafe_b64decode(asked["pageToken"]))["past"]
        keys = sorted(
            (
                key
                for key in self.buckets[bucket]
                if key.startswith(prefix) and key.encode() >= start.encode() and (past is None or _order(key, past))
            ),
            key=str.encode,
        )
        if "delimiter" in asked:
            rest = [(key, key[len(prefix) :].partition(asked["delimiter"])) for key in keys]
            folders = sorted({f"{prefix}{head}{mark}" for _, (head, mark, _) in rest if mark})
            return _json(200, {"kind": "storage#objects", "prefixes": folders[:most]})
        shape = self.pages.popleft() if self.pages else most
        page = keys[: min(shape, most)]
        answer: dict[str, Any] = {"kind": "storage#objects"}
        if page:
            answer["items"] = [self._resource(bucket, key) for key in page]
        if len(page) < len(keys):
            self._made += 1
            token = json.dumps({"past": page[-1] if page else past, "number": self._made})
            answer["nextPageToken"] = base64.urlsafe_b64encode(token.encode()).decode()
        return _json(200, _only(answer, asked["fields"]) if "fields" in asked else answer)

    def _resource(self, bucket: str, key: str) -> dict[str, Any]:
        stored = self.buckets[bucket][key]
        whole, part = divmod(round(stored.created * 1000), 1000)
        created = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(whole)) + f".{part:03}Z"
        return {
            "kind": "storage#object",
            "name": key,
            "bucket": bucket,
            "generation": str(stored.generation),
            "metageneration": str(stored.metageneration),
            "size": str(len(stored.data)),
            "timeCreated": created,
            "updated": time.strftime("%Y-%m-%dT%H:%M:%S.999Z", time.gmtime(stored.created + 86_400)),
            "etag": base64.b64encode(f"{stored.generation}/{stored.metageneration}".encode()).decode(),
            "storageClass": "STANDARD",
        }

    def _object(self, request: Request, bucket: str, key: str, asked: dict[str, str]) -> Status:
        objects = self.buckets[bucket]
        self._need("delete" if request.method == "DELETE" else "get")
        generation = int(asked.get("generation", "0"))
        if (key, generation) in self.noncurrent:
            self.noncurrent.remove((key, generation))
            return Status(204)
        if key not in objects or generation not in (0, objects[key].generation):
            self._need("list")
            raise Refused(404, "notFound", f"No such object: {bucket}/{key}")
        if request.method == "DELETE":
            if not generation:
                self._keep(objects, key)
            del objects[key]
            return Status(204)
        if asked.get("alt") != "media":
            return _json(200, self._resource(bucket, key))
        return _ranged(objects[key].data, request.headers.get("range"))

    def _insert(self, request: Request, bucket: str, asked: dict[str, str]) -> Status:
        key = asked.get("name", "")
        if asked.get("uploadType") != "media" or not 1 <= len(key.encode()) <= 1024 or is_no_name(key):
            raise Refused(400, "invalid", "Invalid argument.")
        self._need("create")
        if key in self.buckets[bucket]:
            self._need("delete")
        self.put(bucket, key, request.body)
        return _json(200, self._resource(bucket, key))

    def _signed(self, request: Request, path: str, query: str) -> Status:
        pairs = dict(pair.partition("=")[::2] for pair in query.split("&"))
        signature = pairs.pop("X-Goog-Signature", "")
        asked = {name: _decoded(value) for name, value in pairs.items()}
        if not signature:
            raise RefusedXml(403, "AccessDenied", "Access denied.")
        email, _, scope = asked.get("X-Goog-Credential", "").partition("/")
        date = asked.get("X-Goog-Date", "")
        if scope != f"{date[:8]}/auto/storage/goog4_request" or asked.get("X-Goog-Algorithm") != "GOOG4-RSA-SHA256":
            raise RefusedXml(400, "AuthorizationQueryParametersError", "Query-string authentication is malformed.")
        expires = int(asked["X-Goog-Expires"])
        if not 0 < expires <= 604_800:
            raise RefusedXml(400, "AuthorizationQueryParametersError", "X-Goog-Expires must be within seven days.")
        names = asked["X-Goog-SignedHeaders"].split(";")
        headers = "".join(f"{name}:{request.headers.get(name, '')}\n" for name in names)
        # Sorted as it was sent, still encoded: what is signed is the encoded form.
        sent = "&".join(sorted(f"{name}={value}" for name, value in pairs.items()))
        canonical = "\n".join((request.method, path, sent, headers, ";".join(names), "UNSIGNED-PAYLOAD"))
        digest = hashlib.sha256(canonical.encode("latin-1")).hexdigest()
        to_sign = f"GOOG4-RSA-SHA256\n{date}\n{scope}\n{digest}"
        try:
            if email != EMAIL:
                raise InvalidSignature
            private_key().public_key().verify(bytes.fromhex(signature), to_sign.encode(), padding.PKCS1v15(), SHA256())
        except (InvalidSignature, ValueError):
            raise RefusedXml(403, "SignatureDoesNotMatch", "Access denied.") from None
        if calendar.timegm(time.strptime(date, "%Y%m%dT%H%M%SZ")) + expires <= self.now():
            raise RefusedXml(400, "ExpiredToken", "Invalid argument.")
        bucket, _, key = path[1:].partition("/")
        if bucket not in self.buckets:
            raise RefusedXml(404, "NoSuchBucket", "The specified bucket does not exist.")
        return self._signed_object(request, self.buckets[bucket], bucket, _decoded(key))

    def _signed_object(self, request: Request, objects: dict[str, Stored], bucket: str, key: str) -> Status:
        try:
            if request.method == "PUT":
                self._need("create")
                if key in objects:
                    self._need("delete")
                self.put(bucket, key, request.body)
                return Status(200)
            self._need("get")
        except Refused as error:
            raise RefusedXml(403, "AccessDenied", f"Access denied. {error.message}") from None
        if key not in objects:
            raise RefusedXml(404, "NoSuchKey", "The specified key does not exist.")
        data = objects[key].data
        if request.method == "HEAD":
            return Status(200, b"", {"content-length": str(len(data))})
        return _ranged(data, request.headers.get("range"))


def _json(status: int, value: Any) -> Status:
    return Status(status, json.dumps(value).encode(), {"content-type": "application/json; charset=UTF-8"})


def _decoded(text: str) -> str:
    """What was percent-encoded, once; "+" is a plus."""
    try:
        return unquote_to_bytes(text).decode()
    except UnicodeDecodeError:
        raise Refused(400, "invalid", "Invalid argument.") from None


def _query(text: str) -> dict[str, str]:
    pairs = (pair.partition("=") for pair in text.split("&") if pair)
    return {_decoded(name): _decoded(value.replace("+", "%20")) for name, _, value in pairs}


def _order(key: str, past: str) -> bool:
    return key.encode() > past.encode()


def is_no_name(key: str) -> bool:
    """Whether Cloud Storage allows no object of this name ("About Cloud Storage objects")."""
    return key in (".", "..") or "\r" in key or "\n" in key or key.startswith(".well-known/acme-challenge/")


def _only(answer: dict[str, Any], fields: str) -> dict[str, Any]:
    """A partial response: `kind,items(name,size),nextPageToken`."""
    kept: dict[str, Any] = {}
    for name, inner in re.findall(r"([A-Za-z]+)(?:\(([^()]*)\))?", fields):
        if name in answer:
            kept[name] = (
                [{member: item[member] for member in inner.split(",")} for item in answer[name]]
                if inner
                else answer[name]
            )
    return kept


def _ranged(data: bytes, wanted: str | None) -> Status:
    found = re.fullmatch(r"bytes=(\d+)-(\d*)", wanted or "")
    if not found:
        return Status(200, data)
    start, end = int(found[1]), int(found[2] or len(data) - 1)
    if start >= len(data):
        return Status(416, b"Request range not satisfiable", {"content-type": "text/html; charset=UTF-8"})
    part = data[start : end + 1]
    return Status(206, part, {"content-range": f"bytes {start}-{start + len(part) - 1}/{len(data)}"})
