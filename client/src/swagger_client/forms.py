"""Bodies that are not JSON, and responses that are files, for `ApiClient.call_api`.

No operation of this API needs them, so most programs do not load this module.
"""

from __future__ import annotations

import io
import json
import mimetypes
import re
import tempfile
from pathlib import Path
from typing import Any, Iterable, Mapping, Optional, Sequence
from urllib.parse import urlencode

from urllib3.fields import RequestField
from urllib3.filepost import encode_multipart_formdata

from swagger_client.exceptions import ApiException, ApiValueError

_FILE_NAME = re.compile(r"filename=['\"]?([^'\"\s]+)['\"]?")


def read_and_close(file: Any) -> Any:
    """Return the content of an open file, and close it."""
    with file:
        return file.read()


def file_fields(files: Optional[Mapping[str, Optional[Sequence[Optional[io.IOBase]]]]]) -> list[tuple[str, Any]]:
    """Return open files, by the names of their form fields, as fields of a form. The files are read and closed.

    Raises:
        ApiValueError: a file is closed.
    """
    fields: list[tuple[str, Any]] = []
    for name, opened in (files or {}).items():
        for file in opened or ():
            if file is None:
                continue
            if file.closed:
                raise ApiValueError(f"Cannot read a closed file. The passed in file_type for {name} must be open.")
            base = Path(file.name).name  # type: ignore[attr-defined]  # files have it, but their common base class does not
            content_type = mimetypes.guess_type(base)[0] or "application/octet-stream"
            fields.append((name, (base, read_and_close(file), content_type)))
    return fields


def multipart_fields(params: Any, collection_types: Any = None) -> list[Any]:
    """Return names and values as fields of a multipart form; values of these types (default: a dict) become JSON."""
    fields: list[Any] = []
    for name, value in params.items() if isinstance(params, dict) else params:
        if isinstance(value, collection_types or dict):
            field = RequestField(name, json.dumps(value, ensure_ascii=False).encode())
            field.make_multipart(content_type="application/json; charset=utf-8")
            fields.append(field)
        else:
            fields.append((name, value))
    return fields


def encoded(body: Any, post_params: Iterable[Any], headers: dict[str, str]) -> Any:
    """Return the body for a content type that is not JSON; set the boundary of a multipart form in `headers`.

    Raises:
        ApiException: the arguments cannot be sent as that content type.
    """
    content_type = headers["Content-Type"]
    if content_type == "application/x-www-form-urlencoded":
        return urlencode(list(post_params))
    if content_type == "multipart/form-data":
        data, headers["Content-Type"] = encode_multipart_formdata(list(post_params))
        return data
    if isinstance(body, (str, bytes)):
        return body
    raise ApiException(
        status=0,
        reason="Cannot prepare a request message for provided arguments. "
        "Please check that your arguments match declared content type.",
    )


def saved(data: Any, folder: Optional[str], content_disposition: Optional[str]) -> io.BufferedReader:
    """Return a response as an open file with the server's name for it; the caller closes and removes it.

    The file is in a new folder in `folder`, so it replaces nothing. Only the last part of the server's name is used.
    """
    found = _FILE_NAME.search(content_disposition or "")
    name = found[1].replace("\\", "/").rpartition("/")[2] if found else ""
    path = Path(tempfile.mkdtemp(dir=folder), name if name not in ("", ".", "..") else "answer")
    path.write_bytes(data.encode() if isinstance(data, str) else data)
    return path.open("rb")
