"""Every failure that Headwater reports on purpose, as one tree.

Each class knows its HTTP status and its code (contract.md#errors), so that the API and the command line
translate an error without deciding anything. The text of an error says what was wrong and what to do; it
never holds a secret.

    HeadwaterError
    ├── MalformedRequestError            400 MALFORMED_REQUEST
    │   └── NameTakenError               400 DATASET_NAME_EXISTS
    ├── RelevantFilenamesInvalidError    400 DATASET_DATASOURCE_RELEVANT_FILENAMES_INVALID
    ├── Unauthorized                401 UNAUTHORIZED
    │   ├── JwtInvalidError              401 JWT_INVALID
    │   └── JwtMalformedError            401 JWT_MALFORMED
    ├── Forbidden                   403 FORBIDDEN
    ├── NotFoundError                    404 NOT_FOUND
    │   ├── DatasetUnknownError          404 DATASET_UNKNOWN
    │   ├── DatasourceUnknownError       404 DATASET_DATASOURCE_UNKNOWN
    │   ├── RunUnknownError              404 DOCKER_RUN_UNKNOWN (runs of workers: this server holds none)
    │   └── RouteNotOfferedError         404 NOT_IMPLEMENTED (a published route that this server does not have)
    ├── MethodNotAllowedError            405 BAD_REQUEST
    ├── PayloadTooLargeError             413 BAD_REQUEST
    ├── TooManyRequestsError             429 BAD_REQUEST, with retry_after
    ├── StoreError                  what a store may raise, and nothing else
    │   ├── CredentialsRefusedError      400 DATASET_DATASOURCE_CREDENTIALS_ERROR
    │   │   └── OverwriteRefusedError    an object may be created, but not replaced
    │   ├── LocationInvalidError            400 DATASET_DATASOURCE_INVALID
    │   ├── ObjectNotFoundError          404 NOT_FOUND
    │   └── StoreUnavailableError        503 MALFORMED_RESPONSE, with retry_after
    ├── CatalogUnavailableError          503 MALFORMED_RESPONSE, with retry_after
    ├── IssuerUnavailableError           503 MALFORMED_RESPONSE, with retry_after
    └── StartupError                no HTTP status: the server or a command cannot start
        └── KeyMissingError              the catalog's secrets were encrypted with a key that is not at hand
"""

from __future__ import annotations


class HeadwaterError(Exception):
    """A failure with a status, a code and a text for people.

    Args:
        message: what was wrong and what to do about it, without secrets.
    """

    status: int = 500
    code: str = "MALFORMED_RESPONSE"
    retry_after: int | None = None

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class MalformedRequestError(HeadwaterError):
    """The request does not have the documented form; the text names the field and what was expected."""

    status, code = 400, "MALFORMED_REQUEST"


class NameTakenError(MalformedRequestError):
    """The owner already has a dataset of that name."""

    code = "DATASET_NAME_EXISTS"


class RelevantFilenamesInvalidError(HeadwaterError):
    """A file of relevant filenames is missing, too large, or holds a line that cannot be used."""

    status, code = 400, "DATASET_DATASOURCE_RELEVANT_FILENAMES_INVALID"


class UnauthorizedError(HeadwaterError):
    """No credential, or one that is not good."""

    status, code = 401, "UNAUTHORIZED"


class JwtInvalidError(UnauthorizedError):
    """A JWT whose signature or claims do not hold."""

    code = "JWT_INVALID"


class JwtMalformedError(UnauthorizedError):
    """A bearer that looks like a JWT and cannot be read as one."""

    code = "JWT_MALFORMED"


class ForbiddenError(HeadwaterError):
    """A good credential without access to this thing."""

    status, code = 403, "FORBIDDEN"


class NotFoundError(HeadwaterError):
    """Nothing at this address."""

    status, code = 404, "NOT_FOUND"


class DatasetUnknownError(NotFoundError):
    """No dataset with this id."""

    code = "DATASET_UNKNOWN"


class DatasourceUnknownError(NotFoundError):
    """The dataset has no datasource for this purpose."""

    code = "DATASET_DATASOURCE_UNKNOWN"


class RunUnknownError(NotFoundError):
    """No run of a worker with this id: this server holds none."""

    code = "DOCKER_RUN_UNKNOWN"


class RouteNotOfferedError(NotFoundError):
    """A route of the published API that this server does not have."""

    code = "NOT_IMPLEMENTED"


class MethodNotAllowedError(HeadwaterError):
    """The route exists, the method does not.

    Args:
        message: the text.
        allow: the methods that the route has, for the `Allow` header.
    """

    status, code = 405, "BAD_REQUEST"

    def __init__(self, message: str, allow: tuple[str, ...]) -> None:
        super().__init__(message)
        self.allow = allow


class PayloadTooLargeError(HeadwaterError):
    """The body is larger than this server reads."""

    status, code = 413, "BAD_REQUEST"


class TooManyRequestsError(HeadwaterError):
    """One user has too many requests under way; come back after `retry_after` seconds."""

    status, code, retry_after = 429, "BAD_REQUEST", 1


class StoreError(HeadwaterError):
    """What a store may raise. Every answer and fault of a provider is mapped to one of its subclasses.

    Args:
        message: names the provider's code, the operation, and the permission or setting to change.
        provider_code: the provider's own name for the error (`AccessDenied`, `NoSuchBucket`), where it has one.
    """

    def __init__(self, message: str, provider_code: str | None = None) -> None:
        super().__init__(message)
        self.provider_code = provider_code


class CredentialsRefusedError(StoreError):
    """The store refuses the credentials, or they lack a permission."""

    status, code = 400, "DATASET_DATASOURCE_CREDENTIALS_ERROR"


class OverwriteRefusedError(CredentialsRefusedError):
    """The object is there, and the store says that these credentials may create objects but not replace any."""


class LocationInvalidError(StoreError):
    """The bucket, container, folder or endpoint does not exist or may not be used."""

    status, code = 400, "DATASET_DATASOURCE_INVALID"


class ObjectNotFoundError(StoreError):
    """The store is there and has no object of this key."""

    status, code = 404, "NOT_FOUND"


class StoreUnavailableError(StoreError):
    """The store is down, slow or throttles, after retries."""

    status, code, retry_after = 503, "MALFORMED_RESPONSE", 5


class IssuerUnavailableError(HeadwaterError):
    """A JWT that looks good cannot be checked: its issuer's public keys are not to be had now."""

    status, code, retry_after = 503, "MALFORMED_RESPONSE", 5


class CatalogUnavailableError(HeadwaterError):
    """The server's own database is down, locked or full."""

    status, code, retry_after = 503, "MALFORMED_RESPONSE", 5


class StartupError(HeadwaterError):
    """A setting, key or catalog with which nothing can start."""


class KeyMissingError(StartupError):
    """The catalog holds secrets that none of the keys at hand decrypts."""
