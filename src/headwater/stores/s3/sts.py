"""AssumeRole, with this server's own AWS credentials. Use it in threads: it blocks, and botocore is slow to import.

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
from botocore.httpsession import URLLib3Session
from botocore.parsers import ResponseParserError

from headwater.domain.errors import CredentialsRefusedError, LocationInvalidError, StoreError, StoreUnavailableError
from headwater.net.proxies import proxy_advice
from headwater.net.transport import is_transient_status
from headwater.stores.error_mapping import AdviceFields, ProviderError, apply_rule
from headwater.stores.s3.error_codes import STS_RULES
from headwater.stores.s3.sigv4 import Credentials

SESSION_NAME = "headwater-datasources"
"""The name of sessions in the audit logs of the role's account. It never changes, because a policy may require it."""

SESSION_SECONDS = 3600
"""Every role allows this, and a role that is assumed by another role allows no more."""

NO_CREDENTIALS_SECONDS = 10.0
"""How long the result that this server has no credentials is kept: looking for them can take seconds."""

SETTING = "HEADWATER_STS_ENDPOINT"

# botocore logs requests, responses and the output of programs that it runs: secrets. Our errors have what matters.
logging.getLogger("botocore").setLevel(logging.CRITICAL)

_NO_PROXIES: dict[str, str] = {}
"""Without this, botocore would use the proxies that the environment names (`net.proxies`)."""

# Besides the time limit of the call, these end a request that hangs in its thread.
_CONFIG = Config(
    connect_timeout=3,
    read_timeout=5,
    retries={"mode": "standard", "total_max_attempts": 2},
    user_agent_extra="headwater",
    proxies=_NO_PROXIES,
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
_OPERATOR_ADVICE = "its operator must give it valid AWS credentials"
_UNREACHABLE_ERRORS = (aws.ConnectionError, aws.HTTPClientError)
_OWN_CREDENTIALS_ERRORS = (
    aws.NoCredentialsError,
    aws.PartialCredentialsError,
    aws.CredentialRetrievalError,
    aws.TokenRetrievalError,
    aws.SSOError,
    aws.MetadataRetrievalError,
)
_OWN_IDENTITY_CODES = frozenset(
    {
        *("ExpiredToken", "ExpiredTokenException", "IncompleteSignature", "InvalidClientTokenId"),
        *("MissingAuthenticationToken", "OptInRequired", "SignatureDoesNotMatch", "UnrecognizedClientException"),
    }
)


class Sts:
    """The clients of STS, one for each region and endpoint, because a client takes a tenth of a second to make.

    Safe to use from many threads concurrently.
    """

    def __init__(self) -> None:
        self._lock = Lock()
        self._session: Any = None
        self._clients: dict[tuple[Any, str, str | None], Any] = {}
        self._no_credentials_until = 0.0

    def own(self) -> Credentials:
        """Look up and return this server's own credentials.

        Raises:
            StoreError: the server has no valid credentials.
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
            # The chain runs other programs and reads files of any content, so that it may raise any exception.
            raise _own_credentials_error(error) from None
        finally:
            # A session keeps the credentials that it found, and the operator may replace them.
            self._forget(session)

    def assume(self, role_arn: str, external_id: str, region: str, endpoint: str | None) -> Credentials:
        """Assume a role and return the credentials of the session.

        Args:
            role_arn: the role.
            external_id: what its trust policy requires besides this server's identity.
            region: the region of STS.
            endpoint: the operator's STS; None is Amazon's in the region.

        Raises:
            StoreError: the role cannot be assumed, or this server has no valid credentials of its own.
        """
        sts = f"STS at {SETTING}" if endpoint else f"STS in {region}"
        secrets: tuple[str, ...] = ()
        session = None
        try:
            session = self._identity()
            frozen = session.get_credentials().get_frozen_credentials()
            secrets = (frozen.secret_key or "", frozen.token or "", frozen.access_key or "")
        except Exception as error:
            # The chain runs other programs and reads files of any content, so that it may raise any exception.
            self._forget(session)
            raise _own_credentials_error(error) from None
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
                raise _no_session_error(sts) from None
            if sts_error.code in _OWN_IDENTITY_CODES:
                # The operator may have replaced the credentials.
                self._forget(session)
            raise to_store_error(sts_error, sts, secrets) from None
        except aws.BotoCoreError as error:
            if isinstance(error, _OWN_CREDENTIALS_ERRORS):
                self._forget(session)
                raise _own_credentials_error(error) from None
            raise _connection_error(error, sts) from None
        except (ResponseParserError, KeyError, TypeError, AttributeError, ValueError):
            raise _no_session_error(sts) from None

    def _identity(self) -> Any:
        """Return the session of botocore that has found this server's own credentials."""
        with self._lock:
            if self._session is None:
                if time.monotonic() < self._no_credentials_until:
                    raise aws.NoCredentialsError
                session = botocore.session.Session()
                session.set_config_variable("sts_regional_endpoints", "regional")
                _use_no_proxies(session)
                if session.get_credentials() is None:
                    self._no_credentials_until = time.monotonic() + NO_CREDENTIALS_SECONDS
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
"""The clients of this process: all of them use the same credentials."""


def _use_no_proxies(session: Any) -> None:
    """Let the chain that finds credentials connect directly: its clients, and its request for the machine's role."""
    session.set_default_client_config(Config(proxies=_NO_PROXIES))
    provider = session.get_component("credential_provider").get_provider("iam-role")
    timeout = session.get_config_variable("metadata_service_timeout")
    provider._role_fetcher._session = URLLib3Session(timeout=timeout, proxies=_NO_PROXIES)


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


def _connection_error(error: aws.BotoCoreError, sts: str) -> StoreError:
    name = type(error).__name__
    match error:
        case aws.SSLError():
            return StoreUnavailableError(
                f"TLS with {sts} failed; the operator of this server checks its roots of trust (AWS_CA_BUNDLE)"
            )
        case aws.ConnectTimeoutError() | aws.ReadTimeoutError():
            return StoreUnavailableError(f"{sts} did not answer in time ({name}). Try again in a moment")
        case aws.ConnectionError() | aws.HTTPClientError():
            return StoreUnavailableError(
                f"{sts} could not be reached ({name}). The operator of this server checks its network{proxy_advice()}"
            )
        case aws.ParamValidationError():
            return CredentialsRefusedError("Check s3ARN and s3ExternalId: they do not have the form that AWS requires")
        case _:
            return _no_session_error(sts)


def _no_session_error(sts: str) -> LocationInvalidError:
    return LocationInvalidError(f"{sts} answered with no session. The operator of this server checks {SETTING}")


def _own_credentials_error(error: Exception) -> StoreError:
    """Return the error for a failed look-up. It has only the name of `error`, whose message may contain secrets."""
    name = type(error).__name__
    if isinstance(error, aws.NoCredentialsError):
        return CredentialsRefusedError(f"This server has no AWS credentials of its own: {_OPERATOR_ADVICE}")
    if isinstance(error, _UNREACHABLE_ERRORS):
        return StoreUnavailableError(f"This server's own AWS credentials are not available for now ({name}): try again")
    return CredentialsRefusedError(f"This server's own AWS credentials are not available ({name}): {_OPERATOR_ADVICE}")
