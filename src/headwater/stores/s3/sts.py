"""AssumeRole, with this server's own AWS credentials. For threads: all of it blocks, and botocore loads slowly.

Sources: "AssumeRole" in the AWS STS API reference, "Credentials" and "Regional endpoints" of botocore's guide.
"""

from __future__ import annotations

import logging
import time
from threading import Lock
from typing import Any

import botocore.session
from botocore import exceptions as aws
from botocore.config import Config
from botocore.parsers import ResponseParserError

from headwater.domain.errors import CredentialsRefusedError, LocationInvalidError, StoreError, StoreUnavailableError
from headwater.net.transport import is_transient_status
from headwater.stores.error_mapping import AdviceFields, ProviderError, apply_rule
from headwater.stores.s3.error_codes import STS_RULES
from headwater.stores.s3.sigv4 import Credentials

SESSION_NAME = "headwater-datasources"
"""What sessions are called in the audit logs of the role's account. Always the same: a policy may ask for it."""

SESSION_SECONDS = 3600
"""What every role allows, and the most that a role allows which is itself assumed by a role."""

LOOK_AGAIN = 10.0
"""Seconds for which it is remembered that this server has no credentials: looking for them can take seconds."""

SETTING = "HEADWATER_STS_ENDPOINT"

# It logs requests, answers, and the words of programs that it runs: secrets. What matters is in our errors.
logging.getLogger("botocore").setLevel(logging.CRITICAL)

# Beside the time limit of the call, these end what hangs in a thread.
_CONFIG = Config(
    connect_timeout=3,
    read_timeout=5,
    retries={"mode": "standard", "total_max_attempts": 2},
    user_agent_extra="headwater",
)

_ADVICE_FIELDS = AdviceFields(
    key_id="s3ARN",
    secret="s3ExternalId",  # noqa: S106  the member's name
    endpoint=SETTING,
    path="s3ARN",
    container="role",
    protocol="STS",
    permission_advice="Check s3ARN and s3ExternalId",
    region_advice=f"Check {SETTING}. Redirects are not followed",
)
_OPERATOR = "its operator must give it AWS credentials that are good"
_UNREACHABLE = (aws.ConnectionError, aws.HTTPClientError)
_OWN_CREDENTIALS = (
    aws.NoCredentialsError,
    aws.PartialCredentialsError,
    aws.CredentialRetrievalError,
    aws.TokenRetrievalError,
    aws.SSOError,
    aws.MetadataRetrievalError,
)
_OWN_IDENTITY_REFUSED = frozenset(
    {
        *("ExpiredToken", "ExpiredTokenException", "IncompleteSignature", "InvalidClientTokenId"),
        *("MissingAuthenticationToken", "OptInRequired", "SignatureDoesNotMatch", "UnrecognizedClientException"),
    }
)


class Sts:
    """The clients of STS, one for each region and endpoint: making one takes a tenth of a second.

    Safe to use from many threads at once.
    """

    def __init__(self) -> None:
        self._lock = Lock()
        self._session: Any = None
        self._clients: dict[tuple[Any, str, str | None], Any] = {}
        self._nothing_until = 0.0

    def own(self) -> Credentials:
        """This server's own credentials, looked up anew.

        Raises:
            StoreError: it has none that are good.
        """
        session = None
        try:
            session = self._identity()
            found = session.get_credentials()
            frozen = found.get_frozen_credentials()
            ends = getattr(found, "_expiry_time", None)
            return Credentials(
                frozen.access_key, frozen.secret_key, frozen.token or None, None if ends is None else ends.timestamp()
            )
        except Exception as error:
            # The chain runs other programs and reads other people's files: there is no end to what it may raise.
            raise _own_credentials(error) from None
        finally:
            # A session keeps what it has found, and the operator may put others in their place.
            self._forget(session)

    def assume(self, role_arn: str, external_id: str, region: str, endpoint: str | None) -> Credentials:
        """Begin a session of a role.

        Args:
            role_arn: the role.
            external_id: what its trust policy asks for beside this server's identity.
            region: whose STS is asked.
            endpoint: the operator's own STS; None is Amazon's in the region.

        Raises:
            StoreError: the role is not to be had, or this server has no good credentials of its own.
        """
        where = f"STS at {SETTING}" if endpoint else f"STS in {region}"
        secrets: tuple[str, ...] = ()
        session = None
        try:
            session = self._identity()
            frozen = session.get_credentials().get_frozen_credentials()
            secrets = (frozen.secret_key or "", frozen.token or "", frozen.access_key or "")
        except Exception as error:
            # The chain runs other programs and reads other people's files: there is no end to what it may raise.
            self._forget(session)
            raise _own_credentials(error) from None
        try:
            answer = self._client(session, region, endpoint).assume_role(
                RoleArn=role_arn,
                RoleSessionName=SESSION_NAME,
                ExternalId=external_id,
                DurationSeconds=SESSION_SECONDS,
            )
            found = answer["Credentials"]
            return Credentials(
                found["AccessKeyId"],
                found["SecretAccessKey"],
                found["SessionToken"],
                found["Expiration"].timestamp(),
            )
        except aws.ClientError as error:
            sts_error = read_error(error.response)
            if sts_error.is_foreign:
                raise _no_sts(where) from None
            if sts_error.code in _OWN_IDENTITY_REFUSED:
                # The operator may have replaced the credentials.
                self._forget(session)
            raise to_store_error(sts_error, where, secrets) from None
        except aws.BotoCoreError as error:
            if isinstance(error, _OWN_CREDENTIALS):
                self._forget(session)
                raise _own_credentials(error) from None
            raise _explain(error, where) from None
        except (ResponseParserError, KeyError, TypeError, AttributeError, ValueError):
            raise _no_sts(where) from None

    def _identity(self) -> Any:
        """The session of botocore that has found this server's own credentials."""
        with self._lock:
            if self._session is None:
                if time.monotonic() < self._nothing_until:
                    raise aws.NoCredentialsError
                session = botocore.session.Session()
                session.set_config_variable("sts_regional_endpoints", "regional")
                if session.get_credentials() is None:
                    self._nothing_until = time.monotonic() + LOOK_AGAIN
                    raise aws.NoCredentialsError
                self._session = session
            return self._session

    def _client(self, session: Any, region: str, endpoint: str | None) -> Any:
        with self._lock:
            client = self._clients.get((session, region, endpoint))
            if client is None:
                client = session.create_client("sts", region_name=region, endpoint_url=endpoint, config=_CONFIG)
                self._clients[session, region, endpoint] = client
            return client

    def _forget(self, session: Any) -> None:
        with self._lock:
            if self._session is session:
                self._session = None
            for key in [key for key in self._clients if key[0] is session]:
                del self._clients[key]


SERVER = Sts()
"""That of this process: its own credentials are the same for everybody."""


def read_error(response: Any) -> ProviderError:
    """Read what botocore makes of an error response."""
    members = response.get("Error", {})
    code, message = str(members.get("Code", "")), str(members.get("Message", ""))
    status = int(response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
    if not code or code.isdecimal():
        # botocore uses the status as the code of a response that is not one of STS.
        return ProviderError(status, message=message, is_foreign=not is_transient_status(status))
    rule_code = ""
    if code == "SignatureDoesNotMatch" and message.startswith(("Signature expired", "Signature not yet current")):
        rule_code = "RequestTimeTooSkewed"
    elif code not in STS_RULES and not is_transient_status(status):
        rule_code = "AccessDenied" if status in (401, 403) else "ValidationError"
    return ProviderError(status, code, message, rule_code=rule_code)


def to_store_error(error: ProviderError, sts: str, secrets: tuple[str, ...] = ()) -> StoreError:
    """Return the error to raise for an error of STS.

    Args:
        error: the error.
        sts: which STS, for the text.
        secrets: texts that must not be repeated if the response contains them.
    """
    return apply_rule(error, STS_RULES, f"{sts} did not let this server assume the role", _ADVICE_FIELDS, secrets)


def _explain(error: aws.BotoCoreError, where: str) -> StoreError:
    name = type(error).__name__
    match error:
        case aws.SSLError():
            return StoreUnavailableError(
                f"TLS with {where} failed; the operator of this server checks its roots of trust (AWS_CA_BUNDLE)"
            )
        case aws.ConnectTimeoutError() | aws.ReadTimeoutError():
            return StoreUnavailableError(f"{where} did not answer in time ({name}). Try again in a moment")
        case aws.ConnectionError() | aws.HTTPClientError():
            return StoreUnavailableError(
                f"{where} could not be reached ({name}). The operator of this server checks its network"
            )
        case aws.ParamValidationError():
            return CredentialsRefusedError("Check s3ARN and s3ExternalId: they have not the form that AWS takes")
        case _:
            return _no_sts(where)


def _no_sts(where: str) -> LocationInvalidError:
    return LocationInvalidError(f"{where} answered with no session. The operator of this server checks {SETTING}")


def _own_credentials(error: Exception) -> StoreError:
    """What keeps this server's own credentials away. Its text may hold secrets, so that only its kind is told."""
    name = type(error).__name__
    if isinstance(error, aws.NoCredentialsError):
        return CredentialsRefusedError(f"This server has no AWS credentials of its own: {_OPERATOR}")
    if isinstance(error, _UNREACHABLE):
        return StoreUnavailableError(f"This server's own AWS credentials are not to be had for now ({name}): try again")
    return CredentialsRefusedError(f"This server's own AWS credentials are not to be had ({name}): {_OPERATOR}")
