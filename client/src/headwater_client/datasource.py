"""Set the datasource of a dataset, and notice if that resets the watermark."""

from __future__ import annotations

import warnings
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any, Callable, Mapping, Optional, Union

from headwater_client.arguments import check_dataset_id
from headwater_client.listing import DEFAULT_TIMEOUT_SECONDS
from headwater_client.sample import DatasetId
from swagger_client.call_options import Timeout
from swagger_client.model.datasource_config import DatasourceConfig

if TYPE_CHECKING:
    from swagger_client.api.datasources_api import DatasourcesApi

_RESET_HEADER = "Headwater-Watermark-Reset"
"""Has the former watermark, in Unix seconds, if the request has reset it."""


class WatermarkResetWarning(UserWarning):
    """A datasource was moved to other data, so the watermark of its dataset was reset to 0."""


def set_datasource(
    api: DatasourcesApi,
    dataset_id: DatasetId,
    config: Union[DatasourceConfig, dict[str, Any]],
    *,
    request_timeout: Timeout = DEFAULT_TIMEOUT_SECONDS,
) -> Optional[int]:
    """Set the datasource of a dataset; warn if that resets the watermark.

    A datasource that moves to another type, bucket or path begins again with watermark 0: its files can be older than
    the former watermark, and would never be listed. So the next `new_samples` lists all of them. New credentials for
    the same place keep the watermark.

    The server says so in a header of its response, and `update_datasource_by_dataset_id` of the API returns as if
    nothing had happened. To get an exception instead of a warning, after the datasource was set:
    `warnings.simplefilter("error", WatermarkResetWarning)`.

    Args:
        api: the API of the server.
        dataset_id: ObjectId of the dataset.
        config: the datasource, or a dict with its members.
        request_timeout: time limit for each attempt in seconds, or a pair for connecting and for reading; None for no
            limit.

    Returns:
        The former watermark in Unix seconds if it was reset, else None. Older servers do not say that they reset it,
        and if the client repeats the request because the first response was lost, the second one does not say it.

    Raises:
        ApiException: the server refused or failed.
        ApiTypeError: the config is not a datasource.
        ApiValueError: `dataset_id` is no id, or a member of the config is invalid.
        urllib3.exceptions.HTTPError: no response was received.
    """
    check_dataset_id(dataset_id)
    update: Callable[..., Any] = api.update_datasource_by_dataset_id  # it returns None only without these options
    answered = update(dataset_id, config, _return_http_data_only=False, _request_timeout=request_timeout)
    headers: Mapping[str, str] = answered[2]
    former = headers.get(_RESET_HEADER) or ""
    if not (former.isascii() and former.isdigit()):
        return None
    warnings.warn(
        f"the datasource of dataset {dataset_id} was moved to other data, so its watermark was reset from {former}"
        f"{_date(int(former))} to 0: the next new_samples lists all files",
        WatermarkResetWarning,
        stacklevel=2,
    )
    return int(former)


def _date(seconds: int) -> str:
    try:
        return f" ({datetime.fromtimestamp(seconds, timezone.utc):%Y-%m-%d %H:%M:%S} UTC)"
    except (ValueError, OverflowError, OSError):
        return ""
