"""The body of every error."""

from swagger_client.model.api_error_code import ApiErrorCode
from swagger_client.model_utils import UNSET, ModelNormal, member


class ApiErrorResponse(ModelNormal):
    """The body of every error.

    Attributes:
        code: the kind of the error.
        message: what was wrong and what to do about it.
        request_id: what to name when asking the server's operator about it.
        error: the same text as `message`.
    """

    code: ApiErrorCode = member("code", ApiErrorCode)
    message: str = member("message", str)
    request_id: str = member("requestId", str)
    error: str = member("error", str, default=UNSET, kw_only=True)
