"""The body of every error response."""

from swagger_client.model.api_error_code import ApiErrorCode
from swagger_client.model_utils import UNSET, ModelNormal, member


class ApiErrorResponse(ModelNormal):
    """The body of every error response.

    Attributes:
        code: the code of the error.
        message: what is wrong and what to do about it.
        request_id: the id of the request, to find it in the server's log.
        error: the same text as `message`.
    """

    code: ApiErrorCode = member("code", ApiErrorCode)
    message: str = member("message", str)
    request_id: str = member("requestId", str)
    error: str = member("error", str, default=UNSET, kw_only=True)
