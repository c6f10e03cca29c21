"""What a user of a published client does, with the calls of that client: create and find datasets, set configs, list
permissions, list files and new files, download them, and handle errors.

Runs in the environment of a client, with only LIGHTLY_SERVER_LOCATION and LIGHTLY_TOKEN set. The argument is JSON
(`WorkflowInput` in `test_workflow.py`). Prints one JSON object with an entry for each part; the entry is None if this
version has no calls for the part.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

from lightly import __version__
from lightly.api import ApiWorkflowClient, download

INPUT: dict[str, Any] = json.loads(sys.argv[1])
ROOT = Path(INPUT["root"])
FIRST = __version__ == "1.2.2"
NEWEST = __version__ == "1.5.26"
TOKEN = os.environ["LIGHTLY_TOKEN"]
DATASETS = f"set {__version__.replace('.', '-')} {INPUT['name']}"
ARN, EXTERNAL = "arn:aws:iam::123456789012:role/reader", "an-external-id"
KEY_FILE = '{"type": "service_account", "private_key": "a-secret"}'


def client(dataset: str | None = None, token: str = TOKEN) -> Any:
    """Return a client as a user creates it; only the oldest version requires the token as an argument."""
    if FIRST or token != TOKEN:
        return ApiWorkflowClient(token=token, dataset_id=dataset)
    return ApiWorkflowClient(dataset_id=dataset)


def plain(value: Any) -> Any:
    """Return models as JSON values. Before the newest version, configs are JSON values already."""
    if isinstance(value, list):
        return [plain(item) for item in value]
    value = getattr(value, "actual_instance", value)
    if not hasattr(value, "to_dict"):
        return value
    return value.to_dict(by_alias=True) if NEWEST else value.to_dict()


def raised(call: Callable[[], Any]) -> dict[str, Any]:
    """Return what a call raised: names of its classes, and status and code of the response, if any."""
    try:
        value = call()
    except Exception as error:
        cause = error if hasattr(error, "status") else error.__cause__
        body: Any = getattr(cause, "body", None)
        with contextlib.suppress(TypeError, ValueError):
            body = json.loads(body)
        return {
            "classes": [each.__name__ for each in type(error).__mro__ if each is not object],
            "status": getattr(cause, "status", None),
            "code": body.get("code") if isinstance(body, dict) else None,
            "text": str(error),
        }
    return {"value": str(value)}


def warned(call: Callable[[], Any]) -> tuple[Any, list[str]]:
    """Return the result of a call and its warnings."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        value = call()
    return value, [str(each.message) for each in caught if each.category is UserWarning]


def names(rows: Any) -> list[str]:
    """Return the file names of a listing, in its order."""
    return [name for name, _ in rows]


def fetched(url: str) -> str:
    """Return the text behind a read URL, fetched with the library that the client uses."""
    import requests

    answer = requests.get(url, timeout=10)
    answer.raise_for_status()
    return answer.text


def put(used: Any, url: str, text: str) -> None:
    """Upload a file to a write URL with the client's own call."""
    used.upload_file_with_signed_url(io.BytesIO(text.encode()), url)


def calls() -> list[str]:
    """Return which of the documented calls this version has."""
    return [
        name
        for name in INPUT["calls"]
        if hasattr(download if name.startswith("download.") else ApiWorkflowClient, name.removeprefix("download."))
    ]


def datasets() -> dict[str, Any]:
    """Create, find, and delete datasets."""
    used = client()
    used.create_dataset(f"{DATASETS} a")
    first = used.dataset_id
    found: dict[str, Any] = {"type": used.dataset_type}
    used.create_new_dataset_with_unique_name(f"{DATASETS} b")
    used.create_new_dataset_with_unique_name(f"{DATASETS} b")
    used.create_new_dataset_with_unique_name(f"{DATASETS} b")
    unique = used.dataset_id
    found["again"] = raised(lambda: used.create_dataset(f"{DATASETS} a"))
    used.set_dataset_id_by_name(f"{DATASETS} a")
    found["by name"] = used.dataset_id == first
    found["no such name"] = raised(lambda: used.set_dataset_id_by_name(f"{DATASETS} c"))
    all_of_them = used._datasets_api.get_datasets() if FIRST else used.get_datasets()
    found["names"] = sorted(each.name for each in all_of_them if each.name.startswith(DATASETS))
    latest = client()
    chosen, texts = warned(lambda: latest.dataset_id)
    found["the latest"] = (chosen == unique, texts)
    if not FIRST:
        found["exists"] = [used.dataset_exists(each) for each in (first, INPUT["unknown"])]
        found["name exists"] = [used.dataset_name_exists(f"{DATASETS} {each}") for each in "abc"]
        sharing = {"own": False, "shared": True, "all": None}
        found["shared"] = {
            name: [each.name for each in used.get_datasets_by_name(f"{DATASETS} a", shared)]
            for name, shared in sharing.items()
        }
        found["all"] = sum(each.name.startswith(DATASETS) for each in used.get_datasets(shared=None))
        found["not shared"] = len(used.get_datasets(shared=True))
        found["set"] = raised(lambda: setattr(used, "dataset_id", INPUT["unknown"]))
        used.dataset_id = first
    api = used._datasets_api
    enriched = api.get_datasets_enriched()
    found["enriched"] = [(each.n_samples, each.n_tags) for each in enriched if each.id == first]
    if not FIRST:
        found["enriched by name"] = [each.name for each in api.get_datasets_enriched_query_by_name(f"{DATASETS} b")]
        found["children"] = plain(api.get_children_of_dataset_id(first))
    if NEWEST:
        ids = [first, unique]
        found["enriched by ids"] = sorted(each.id for each in api.get_datasets_enriched_query_by_ids(ids)) == sorted(
            ids
        )
    used._dataset_id = unique
    used.delete_dataset_by_id(unique)
    left = used._datasets_api.get_datasets() if FIRST else used.get_datasets()
    found["deleted"] = unique not in [each.id for each in left]
    return found


def _configs() -> dict[str, dict[str, Any]]:
    thumbs = ".lightly/thumbnails/[filename]_thumb.[extension]"
    each: dict[str, dict[str, Any]] = {
        "S3": {"s3Region": "eu-central-1", "s3AccessKeyId": "id", "s3SecretAccessKey": "a-secret"},
        "S3DelegatedAccess": {"s3Region": "eu-central-1", "s3ARN": ARN, "s3ExternalId": EXTERNAL},
        "GCS": {"gcsProjectId": "project", "gcsCredentials": KEY_FILE},
        "AZURE": {"accountName": "account", "accountKey": "a-secret"},
        "LOCAL": {},
        "OBS": {"obsEndpoint": "https://obs.test", "obsAccessKeyId": "id", "obsSecretAccessKey": "a-secret"},
        "LIGHTLY": {},
    }
    return {kind: {"type": kind, "fullPath": "some/path", "thumbSuffix": thumbs, **more} for kind, more in each.items()}


def _set(used: Any, config: dict[str, Any]) -> None:
    """Put a config as the client's `set_…_config` calls do, for types without such a call in this version."""
    api = used._datasources_api
    if NEWEST:
        from lightly.openapi_generated.swagger_client.models import DatasourceConfig

        config = {"purpose": "INPUT_OUTPUT", **config}
        api.update_datasource_by_dataset_id(
            dataset_id=used.dataset_id, datasource_config=DatasourceConfig.from_dict(config)
        )
    else:
        api.update_datasource_by_dataset_id(body=config, dataset_id=used.dataset_id)


def configs() -> dict[str, Any]:
    """Set every type of config and read it."""
    used = client()
    used.create_dataset(f"{DATASETS} configs")
    setters: dict[str, Callable[[], Any]] = {}
    if not FIRST:
        setters = {
            "S3": lambda: used.set_s3_config("s3://some/path", "eu-central-1", "id", "a-secret"),
            "S3DelegatedAccess": lambda: used.set_s3_delegated_access_config("some/path", "eu-west-1", ARN, EXTERNAL),
            "GCS": lambda: used.set_gcs_config("gs://some/path", "project", KEY_FILE, thumbnail_suffix=None),
            "AZURE": lambda: used.set_azure_config("some/path", "account", "a-secret"),
            "LOCAL": lambda: used.set_local_config("some/path"),
            "OBS": lambda: used.set_obs_config("obs://some/path", "https://obs.test", "id", "a-secret"),
        }
    found: dict[str, Any] = {}
    for kind, config in _configs().items():
        setters.get(kind, lambda config=config: _set(used, config))()
        found[kind] = plain(used.get_datasource())
    if __version__ == "1.2.47":
        found["a server as path"] = raised(lambda: used.set_local_config("http://localhost:1234/path"))
    return found


def local(used: Any, path: str, **more: Any) -> None:
    """Set a LOCAL config under the mount root of the server."""
    if FIRST:
        _set(used, {"type": "LOCAL", "fullPath": path})
    elif NEWEST:
        used.set_local_config(path, web_server_location=None, **more)
    else:
        used.set_local_config(path)


def listing() -> dict[str, Any]:
    """List permissions and files: all, by window, in shards, and by relevant filenames; download them."""
    used = client()
    used.create_dataset(f"{DATASETS} listing")
    local(used, INPUT["path"])
    verified = used._datasources_api.verify_datasource_by_dataset_id(used.dataset_id)
    permissions = verified if FIRST else used.list_datasource_permissions()
    rows = used.download_raw_samples()
    found: dict[str, Any] = {
        "permissions": permissions if isinstance(permissions, dict) else permissions.to_dict(),
        "all": names(rows),
        "window": names(used.download_raw_samples(from_=INPUT["from"], to=INPUT["to"])),
        "nothing": names(used.download_raw_samples(from_=INPUT["to"] + 1, to=INPUT["to"])),
    }
    download.download_and_write_all_files(rows, f"{INPUT['download']}/all")
    if not NEWEST:
        found["image"] = download.download_image(dict(rows)[INPUT["image"]]).size
    if FIRST:
        return found
    relevant = {"relevant_filenames_file_name": ".lightly/relevant.txt"}
    found["relevant"] = names(used.download_raw_samples(**relevant))
    redirected = used.download_raw_samples(use_redirected_read_url=True)
    found["redirected"] = names(redirected)
    found["redirected differ"] = all("readurlRedirect" in url for _, url in redirected)
    download.download_and_write_all_files(redirected[:5], f"{INPUT['download']}/redirected")
    if NEWEST:
        shards = used.download_raw_samples(divide_and_conquer_shards=4)
        found["shards"] = sorted(names(shards))
        found["relevant shards"] = sorted(names(used.download_raw_samples(divide_and_conquer_shards=3, **relevant)))
        head = used._datasources_api.get_head_file_read_url_from_datasource_by_dataset_id(
            dataset_id=used.dataset_id, file_name=INPUT["image"]
        )
        import requests

        found["head"] = requests.head(head, timeout=10).headers["Content-Length"]
    return found


def new() -> dict[str, Any]:
    """List new files twice, with a file added in between; then list all again."""
    used = client()
    used.create_dataset(f"{DATASETS} new")
    local(used, INPUT["path"])
    first = names(used.download_new_raw_samples())
    mark = used.get_processed_until_timestamp()
    # Windows are whole seconds: the file must be newer than the watermark.
    time.sleep(max(0.0, mark + 1.02 - time.time()))
    (ROOT / "new.png").write_bytes(b"new")
    second = names(used.download_new_raw_samples())
    later = used.get_processed_until_timestamp()
    used.update_processed_until_timestamp(0)
    again = names(used.download_new_raw_samples())
    (ROOT / "new.png").unlink()
    return {"first": first, "second": second, "again": again, "marks": [mark, later]}


def folders() -> dict[str, Any] | None:
    """List predictions and metadata; get read URLs of present and absent files, and a write URL."""
    if FIRST:
        return None
    used = client()
    used.create_dataset(f"{DATASETS} folders")
    local(used, INPUT["path"])
    api = used._datasources_api
    predictions = used.download_raw_predictions("detection")
    metadata = used.download_raw_metadata()
    relevant = {"relevant_filenames_file_name": ".lightly/relevant-predictions.txt"}
    found = {
        "predictions": names(predictions),
        "window": names(used.download_raw_predictions("detection", from_=INPUT["from"], to=INPUT["to"])),
        "relevant": names(used.download_raw_predictions("detection", **relevant)),
        "redirected": names(used.download_raw_predictions("detection", use_redirected_read_url=True)),
        "no such task": names(used.download_raw_predictions("none")),
        "metadata": names(metadata),
        "a prediction": fetched(used.get_prediction_read_url("detection/a.json")),
        "its row": fetched(dict(predictions)[".lightly/predictions/detection/a.json"]),
        "a metadata file": fetched(used.get_metadata_read_url("schema.json")),
        "an embedding": fetched(used.get_custom_embedding_read_url("all.csv")),
        "not there": raised(lambda: fetched(used.get_prediction_read_url("detection/none.json"))),
    }
    write = "get_prediction_file_write_url_from_datasource_by_dataset_id"
    put(used, getattr(api, write)(used.dataset_id, file_name="written/by.json"), "written")
    found["written"] = (ROOT / ".lightly/predictions/written/by.json").read_text()
    found["written is listed"] = names(used.download_raw_predictions("written"))
    if NEWEST:
        sharded = used.download_raw_predictions("detection", divide_and_conquer_shards=3)
        found["predictions in shards"] = sorted(names(sharded))
        found["metadata in shards"] = sorted(names(used.download_raw_metadata(divide_and_conquer_shards=2)))
        found["by iterator"] = names(used.download_raw_predictions_iter("detection"))
        found["of a run"] = raised(
            lambda: used.download_raw_metadata(run_id=INPUT["unknown"], relevant_filenames_artifact_id=INPUT["unknown"])
        )
    return found


def two() -> dict[str, Any] | None:
    """Use one datasource for the input and another for everything under `.lightly/`."""
    if FIRST:
        return None
    used = client()
    used.create_dataset(f"{DATASETS} two")
    keys = ("eu-central-1", "id", "a-secret")
    used.set_s3_config(INPUT["input"], *keys, purpose="INPUT")
    used.set_s3_config(INPUT["lightly"], *keys, purpose="LIGHTLY")
    rows = used.download_raw_samples()
    download.download_and_write_all_files(rows, f"{INPUT['download']}/two")
    api = used._datasources_api
    ordered = sorted(plain(api.get_datasources_by_dataset_id(used.dataset_id)), key=lambda each: each["purpose"])
    found = {
        "samples": names(rows),
        "predictions": [(name, fetched(url)) for name, url in used.download_raw_predictions("detection")],
        "datasources": [(each["purpose"], each["fullPath"]) for each in ordered],
        "permissions": plain(used.list_datasource_permissions()),
    }
    if NEWEST:
        found["lightly"] = plain(api.get_datasource_by_dataset_id(used.dataset_id, purpose="LIGHTLY"))["fullPath"]
    return found


def bucket() -> dict[str, Any]:
    """List a bucket and download from it."""
    used = client()
    used.create_dataset(f"{DATASETS} bucket")
    if FIRST:
        _set(used, {**_configs()["S3"], "fullPath": INPUT["input"]})
    else:
        used.set_s3_config(INPUT["input"], "eu-central-1", "id", "a-secret")
    rows = used.download_raw_samples()
    download.download_and_write_all_files(rows, f"{INPUT['download']}/bucket")
    return {"samples": names(rows)}


def managed() -> dict[str, Any]:
    """List storage that the server provides."""
    used = client()
    used.create_dataset(f"{DATASETS} managed")
    _set(used, {"type": "LIGHTLY", "fullPath": ""})
    return {"samples": names(used.download_raw_samples())}


def refusals() -> dict[str, Any]:
    """Return what is raised for each error."""
    bad, foreign, unknown = client(INPUT["foreign"], "no-token"), client(INPUT["foreign"]), client(INPUT["unknown"])
    empty = client()
    empty.create_dataset(f"{DATASETS} empty")
    return {
        "401": raised(bad.get_datasource),
        "401 listing": raised(bad.download_raw_samples),
        "403": raised(foreign.get_datasource),
        "403 listing": raised(foreign.download_raw_samples),
        "404": raised(lambda: unknown._datasets_api.get_dataset_by_id(INPUT["unknown"])),
        "404 listing": raised(unknown.download_raw_samples),
        "404 new": raised(unknown.download_new_raw_samples),
        "no datasource": raised(empty.get_datasource),
        "no datasource listing": raised(empty.download_raw_samples),
        "not offered": raised(empty.get_all_tags),
    }


def slash() -> dict[str, Any]:
    """List with a slash at the end of the server URL. Older clients keep it and send `//v1/…`."""
    os.environ["LIGHTLY_SERVER_LOCATION"] += "/"
    used = client()
    used.create_dataset(f"{DATASETS} slash")
    local(used, INPUT["path"])
    rows = used.download_raw_samples(**({} if FIRST else {"use_redirected_read_url": True}))
    download.download_and_write_all_files(rows[:2], f"{INPUT['download']}/slash")
    return {"host": used.api_client.configuration.host, "all": names(rows)}


PARTS = (calls, datasets, configs, listing, new, folders, two, bucket, managed, refusals, slash)

if __name__ == "__main__":
    results: dict[str, Any] = {"name": DATASETS}
    for part in PARTS:
        if part.__name__ in INPUT.get("parts", [each.__name__ for each in PARTS]):
            at = time.monotonic()
            try:
                results[part.__name__] = part()
            except Exception as error:
                error.add_note(f"in the part {part.__name__!r}")
                raise
            print(f"{part.__name__}: {time.monotonic() - at:.2f} s", file=sys.stderr)
    print(json.dumps(results))
