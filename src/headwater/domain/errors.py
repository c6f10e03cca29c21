"""All errors that Headwater reports on purpose, as one tree.

Each class has its HTTP status and its code (contract.md#errors), so that the API and the command line can report an
error without any decision. The text of an error says what was wrong and what to do. It never holds a secret.

    HeadwaterError
    ├── MalformedRequestError            400 MALFORMED_REQUEST
    │   └── NameTakenError               400 DATASET_NAME_EXISTS
    ├── RelevantFilenamesInvalidError    400 DATASET_DATASOURCE_RELEVANT_FILENAMES_INVALID
    ├── UnauthorizedError                401 UNAUTHORIZED
    │   ├── JwtInvalidError              401 JWT_INVALID
    │   └── JwtMalformedError            401 JWT_MALFORMED
    ├── ForbiddenError                   403 FORBIDDEN
    ├── NotFoundError                    404 NOT_FOUND
    │   ├── DatasetUnknownError          404 DATASET_UNKNOWN
    │   ├── DatasourceUnknownError       404 DATASET_DATASOURCE_UNKNOWN
    │   ├── RunUnknownError              404 DOCKER_RUN_UNKNOWN (runs of workers: this server has none)
    │   └── RouteNotOfferedError         404 NOT_IMPLEMENTED (a published route that this server does not have)
    ├── MethodNotAllowedError            405 BAD_REQUEST
    ├── PayloadTooLargeError             413 BAD_REQUEST
    ├── TooManyRequestsError             429 BAD_REQUEST, with retry_after
    ├── StoreError                       the only errors that a store raises
    │   ├── CredentialsRefusedError      400 DATASET_DATASOURCE_CREDENTIALS_ERROR
    │   │   └── OverwriteRefusedError    objects may be created, but not replaced
    │   ├── LocationInvalidError         400 DATASET_DATASOURCE_INVALID
    │   ├── ObjectNotFoundError          404 NOT_FOUND
    │   └── StoreUnavailableError        503 MALFORMED_RESPONSE, with retry_after
    ├── CatalogUnavailableError          503 MALFORMED_RESPONSE, with retry_after
    │   ├── CatalogDamagedError          only a restored copy of the catalog helps
    │   └── IndexChangedError            the index was dropped, or the datasource moved, during a request
    ├── IssuerUnavailableError           503 MALFORMED_RESPONSE, with retry_after
    └── StartupError                     no HTTP status: the server or a command cannot start
        ├── CatalogMissingError          there is no catalog where the settings say
        └── KeyMissingError              the secrets in the catalog were encrypted with a key that is missing
"""

from __future__ import annotations


class HeadwaterError(Exception):
    """An error with an HTTP status, a code and a text for people.

    Args:
        message: what was wrong and what to do about it, without secrets.
    """

    status: int = 500
    code: str = "MALFORMED_RESPONSE"
    retry_after: int | None = None

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message

    @classmethod
    def name(cls) -> str:
        """Return the name of the class without `Error`; `Unexpected` for an unforeseen error."""
        if cls is HeadwaterError:
            return "Unexpected"
        return next(each.__name__ for each in cls.__mro__ if not each.__name__.startswith("_")).removesuffix("Error")


class MalformedRequestError(HeadwaterError):
    """The request does not have the documented form. The text names the field and what was expected."""

    status, code = 400, "MALFORMED_REQUEST"


class NameTakenError(MalformedRequestError):
    """The owner already has a dataset with that name."""

    code = "DATASET_NAME_EXISTS"


class RelevantFilenamesInvalidError(HeadwaterError):
    """A file of relevant filenames is missing, too large, or holds a line that cannot be used."""

    status, code = 400, "DATASET_DATASOURCE_RELEVANT_FILENAMES_INVALID"


class UnauthorizedError(HeadwaterError):
    """There is no credential, or an invalid one."""

    status, code = 401, "UNAUTHORIZED"


class JwtInvalidError(UnauthorizedError):
    """The signature or the claims of a JWT are invalid."""

    code = "JWT_INVALID"


class JwtMalformedError(UnauthorizedError):
    """A bearer token looks like a JWT but cannot be parsed."""

    code = "JWT_MALFORMED"


class ForbiddenError(HeadwaterError):
    """The credential is valid but gives no access to this resource."""

    status, code = 403, "FORBIDDEN"


class NotFoundError(HeadwaterError):
    """There is nothing at this address."""

    status, code = 404, "NOT_FOUND"


class DatasetUnknownError(NotFoundError):
    """There is no dataset with this id."""

    code = "DATASET_UNKNOWN"


class DatasourceUnknownError(NotFoundError):
    """The dataset has no datasource for this purpose."""

    code = "DATASET_DATASOURCE_UNKNOWN"


class RunUnknownError(NotFoundError):
    """There is no run of a worker with this id: this server has none."""

    code = "DOCKER_RUN_UNKNOWN"


class RouteNotOfferedError(NotFoundError):
    """The route is part of the published API, but this server does not have it."""

    code = "NOT_IMPLEMENTED"


class MethodNotAllowedError(HeadwaterError):
    """The route does not have this method.

    Args:
        message: the text.
        allow: the methods that the route has, for the header `Allow`.
    """

    status, code = 405, "BAD_REQUEST"

    def __init__(self, message: str, allow: tuple[str, ...]) -> None:
        super().__init__(message)
        self.allow = allow


class PayloadTooLargeError(HeadwaterError):
    """The body is larger than this server accepts."""

    status, code = 413, "BAD_REQUEST"


class TooManyRequestsError(HeadwaterError):
    """The user has too many requests in flight; retry after `retry_after` seconds."""

    status, code, retry_after = 429, "BAD_REQUEST", 1


class StoreError(HeadwaterError):
    """An error of a store. Every error response and failure of a provider is mapped to one of its subclasses.

    Args:
        message: names the provider's code, the operation, and the permission or setting to change.
        provider_code: the provider's name for the error (`AccessDenied`, `NoSuchBucket`); None if it has none.
    """

    def __init__(self, message: str, provider_code: str | None = None) -> None:
        super().__init__(message)
        self.provider_code = provider_code


class CredentialsRefusedError(StoreError):
    """The store refuses the credentials, or they lack a permission."""

    status, code = 400, "DATASET_DATASOURCE_CREDENTIALS_ERROR"


class OverwriteRefusedError(CredentialsRefusedError):
    """The object exists, and the store says that these credentials may create objects but not replace them."""


class LocationInvalidError(StoreError):
    """The bucket, container, folder or endpoint does not exist or must not be used."""

    status, code = 400, "DATASET_DATASOURCE_INVALID"


class ObjectNotFoundError(StoreError):
    """The store has no object with this key."""

    status, code = 404, "NOT_FOUND"


class StoreUnavailableError(StoreError):
    """The store is down, slow or throttling, after retries."""

    status, code, retry_after = 503, "MALFORMED_RESPONSE", 5


class IssuerUnavailableError(HeadwaterError):
    """A JWT cannot be checked, because the public keys of its issuer cannot be loaded at present."""

    status, code, retry_after = 503, "MALFORMED_RESPONSE", 5


class CatalogUnavailableError(HeadwaterError):
    """The database of this server is down, locked, full, or not the one that the server opened."""

    status, code, retry_after = 503, "MALFORMED_RESPONSE", 5


class CatalogDamagedError(CatalogUnavailableError):
    """The database holds no whole catalog any more: it is malformed, or tables are missing."""


class IndexChangedError(CatalogUnavailableError):
    """The index of a feed was dropped, or the datasource moved, while a request listed it."""


class StartupError(HeadwaterError):
    """A setting, key or catalog is unusable, so that the server or a command cannot start."""


class CatalogMissingError(StartupError):
    """There is no catalog where the settings say, and this command does not create one."""


class KeyMissingError(StartupError):
    """The catalog holds secrets that no key of this server decrypts."""
