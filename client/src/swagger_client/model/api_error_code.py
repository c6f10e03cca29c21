"""The code of an error."""

from swagger_client.model_utils import ModelSimple, member


class ApiErrorCode(ModelSimple):
    """The code of an error, as a `str` in `value`. Servers can send other codes; use the HTTP status then."""

    value: str = member(
        "value",
        str,
        enum=(
            "BAD_REQUEST",
            "NOT_IMPLEMENTED",
            "FORBIDDEN",
            "UNAUTHORIZED",
            "NOT_FOUND",
            "MALFORMED_REQUEST",
            "MALFORMED_RESPONSE",
            "JWT_INVALID",
            "JWT_MALFORMED",
            "DATASET_UNKNOWN",
            "DATASET_NAME_EXISTS",
            "DATASET_DATASOURCE_UNKNOWN",
            "DATASET_DATASOURCE_CREDENTIALS_ERROR",
            "DATASET_DATASOURCE_INVALID",
            "DATASET_DATASOURCE_ACTION_NOT_IMPLEMENTED",
            "DATASET_DATASOURCE_ILLEGAL_ACTION",
            "CONFLICT",
            "PAYLOAD_TOO_LARGE",
            "DATASET_DATASOURCE_RELEVANT_FILENAMES_INVALID",
            "DOCKER_RUN_UNKNOWN",
        ),
    )
