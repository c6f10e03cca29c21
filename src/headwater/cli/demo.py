"""`headwater demo`: run the whole product once, and explain and check each step.

The demo is a client program. It uses the documented Python client with its own server, in a temporary folder. If the
published client `lightly` is installed, it is used in one step.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import struct
import subprocess
import sys
import tempfile
import time
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.request import urlopen

from headwater.cli.output import EXIT_FAILURE, note
from headwater.domain.errors import StartupError

if TYPE_CHECKING:
    from swagger_client.api.datasources_api import DatasourcesApi
    from swagger_client.model.mongo_object_id import MongoObjectID

IMAGE_COUNT = 250
NEW_IMAGE_COUNT = 5
PAGE_SIZE = 100
DATASET_NAME = "demo-images"
_STOP_TIMEOUT_SECONDS = 30.0
_PUBLISHED_TIMEOUT_SECONDS = 120.0
_EXIT_NOT_IMPORTABLE = 3
_PUBLISHED_CLIENT_STEP = 11

_PUBLISHED_CLIENT_SCRIPT = """\
import json, os, sys
try:
    from lightly import __version__
except ImportError as error:
    print(f"lightly cannot be imported: {error}")
    sys.exit(3)
try:
    from lightly.api import ApiWorkflowClient
except ImportError:
    print(f"lightly {__version__} has no lightly.api; after `pip install \\"lightly<1.6\\"` this step runs")
    sys.exit(3)
client = ApiWorkflowClient(token=os.environ["LIGHTLY_TOKEN"])
client.set_dataset_id_by_name(sys.argv[1])
print(json.dumps([__version__, client.download_raw_samples()]))
"""
"""What a user of the published client writes. The token is passed explicitly, so that every version works."""


class StepFailedError(Exception):
    """A step of the demo failed; the text says which and why."""


def run_demo() -> int:
    """Run the demo and return its exit code: 0 only if every step succeeded."""
    try:
        import swagger_client  # noqa: F401  reported before anything is created
    except ImportError:
        raise StartupError("the demo needs the Python client: pip install ./client, from a clone") from None
    began = time.monotonic()
    try:
        with tempfile.TemporaryDirectory(prefix="headwater-demo-") as folder:
            skipped = _demo(Path(folder))
    except StepFailedError as failure:
        note(f"\nThe demo failed: {failure}")
        return EXIT_FAILURE
    held = f"Every step but {skipped}, which was skipped," if skipped else "Every step"
    print(f"\n{held} held, in {time.monotonic() - began:.1f} seconds.")
    print("Next: `HEADWATER_LOCAL_ROOT=/folder/with/images headwater serve`, which says how to go on.")
    return 0


def _demo(folder: Path) -> int | None:
    """Run the steps; return the number of the one that was skipped, if any."""
    from swagger_client import ApiClient, Configuration
    from swagger_client.api.datasources_api import DatasourcesApi
    from swagger_client.model.mongo_object_id import MongoObjectID

    files = folder / "files"
    bucket = files / "camera"
    _print_step(1, f"Make a folder of {IMAGE_COUNT} small images, and some files that are no samples")
    _make_images(bucket)
    (bucket / "labels.json").write_text('{"img_0000.png": "cat"}')
    (bucket / "notes.txt").write_text("A listing of samples leaves this out.")
    _print_detail(f"{bucket.relative_to(folder)}/ holds day_00/img_0000.png and so on, labels.json and notes.txt")

    environ = _environment(folder, files)
    _print_step(2, "Start the server; an empty data folder is set up on the first start")
    with _server(environ) as url:
        _print_detail(f"headwater serve: listens on {url}")

        _print_step(3, "Make a token and a dataset for a user")
        token = _run_headwater(environ, "token", "create", "--user", "ada")
        dataset = _run_headwater(environ, "dataset", "create", DATASET_NAME, "--user", "ada")
        _print_detail("headwater token create --user ada         → a token, shown this once")
        _print_detail(f"headwater dataset create demo-images …    → {dataset}")

        configuration = Configuration(host=url)
        configuration.api_key["ApiKeyAuth"] = token
        with ApiClient(configuration) as client:
            _use_client(DatasourcesApi(client), MongoObjectID(dataset), bucket)
        lists = _use_published_client(url, token, bucket)

    _print_step(12, "Stop the server with SIGTERM: it finishes requests in flight and exits with 0")
    return None if lists else _PUBLISHED_CLIENT_STEP


def _use_client(api: DatasourcesApi, dataset: MongoObjectID, bucket: Path) -> None:
    from swagger_client.model.datasource_config_local import DatasourceConfigLOCAL

    _print_step(4, "Connect the dataset to the folder: update_datasource_by_dataset_id")
    api.update_datasource_by_dataset_id(dataset, DatasourceConfigLOCAL(type="LOCAL", full_path=bucket.name))
    config = api.get_datasource_by_dataset_id(dataset).to_dict()
    _print_detail(", ".join(f"{name}: {value}" for name, value in config.items()))

    _print_step(5, "Verify the access by trying it, list, read, write, replace: verify_datasource_by_dataset_id")
    verified = api.verify_datasource_by_dataset_id(dataset).to_dict()
    _print_detail(", ".join(f"{name}: {works}" for name, works in verified.items()))
    _check(all(verified.values()) and len(verified) == 4, f"not all access works: {verified}")
    _check(not (bucket / ".lightly").exists(), "the verification left something behind")

    until = int(time.time()) - 1  # so that the next window, which begins one second later, need not be waited for
    _print_step(
        6,
        f"List all samples until a second ago, {PAGE_SIZE} a page: "
        "get_list_of_raw_samples_from_datasource_by_dataset_id",
    )
    rows = list(_list_rows(api, dataset, 0, until))
    expected = sorted(str(path.relative_to(bucket)) for path in bucket.rglob("*.png"))
    _check([row.file_name for row in rows] == expected, "the listing is not the folder's images in order")
    _print_detail(
        f"{len(rows)} samples with times up to {until}, each once, in order; labels.json and notes.txt are left out"
    )

    _print_step(7, "Download one from its read URL, which needs no token, and compare the bytes")
    row = rows[len(rows) // 2]
    with urlopen(row.read_url, timeout=30) as answer:  # noqa: S310  our own server's http URL
        got, content_type = answer.read(), answer.headers["content-type"]
    _print_detail(f"GET {re.sub(r'signature=.*', 'signature=…', row.read_url)}")
    _check(got == (bucket / row.file_name).read_bytes(), f"{row.file_name} came with other bytes")
    _print_detail(f"{len(got)} bytes of {content_type}, the same as on disk")

    _print_step(8, "Remember how far we got: update_datasource_processed_until_timestamp_by_dataset_id")
    _set_watermark(api, dataset, until)
    mark = api.get_datasource_processed_until_timestamp_by_dataset_id(dataset).processed_until_timestamp
    _check(mark.value == until, f"the watermark is {mark}")
    _print_detail(f"processed until {until}; a 200 means that it is on disk")
    _list_what_arrives(api, dataset, bucket, until)


def _list_what_arrives(api: DatasourcesApi, dataset: MongoObjectID, bucket: Path, watermark: int) -> None:
    _print_step(9, f"{NEW_IMAGE_COUNT} more images arrive; list what came after the watermark: exactly those")
    for index in range(NEW_IMAGE_COUNT):
        _write_image(bucket / "arrived" / f"new_{index}.png", IMAGE_COUNT + index)
    fresh, watermark = _list_new(api, dataset, watermark)
    _check(fresh == [f"arrived/new_{index}.png" for index in range(NEW_IMAGE_COUNT)], f"new are {fresh}")

    _print_step(10, "Copy an image with its old date, from before the watermark: it is new all the same, and only once")
    copy = bucket / "arrived" / "old_0.png"
    shutil.copy2(bucket / "day_00" / "img_0000.png", copy)
    _check(copy.stat().st_mtime < watermark, "the copy has another date")
    fresh, watermark = _list_new(api, dataset, watermark)
    _check(fresh == ["arrived/old_0.png"], f"new are {fresh}")
    again = list(_list_rows(api, dataset, watermark + 1, watermark + 1))
    _check(again == [], f"{len(again)} samples are listed again")


def _list_new(api: DatasourcesApi, dataset: MongoObjectID, watermark: int) -> tuple[list[str], int]:
    """List what came after the watermark and move it. Return the names and the new watermark."""
    # Windows are whole seconds: what has arrived since the last one ended is in a later one.
    time.sleep(max(0.0, watermark + 1.05 - time.time()))
    until = int(time.time())
    fresh = [row.file_name for row in _list_rows(api, dataset, watermark + 1, until)]
    for name in fresh:
        _print_detail(name)
    _set_watermark(api, dataset, until)
    _print_detail(f"processed until {until}")
    return fresh, until


def _set_watermark(api: DatasourcesApi, dataset: MongoObjectID, seconds: int) -> None:
    from swagger_client.model.datasource_processed_until_timestamp_request import (
        DatasourceProcessedUntilTimestampRequest,
    )
    from swagger_client.model.timestamp import Timestamp

    request = DatasourceProcessedUntilTimestampRequest(processed_until_timestamp=Timestamp(seconds))
    api.update_datasource_processed_until_timestamp_by_dataset_id(dataset, request)


def _use_published_client(url: str, token: str, bucket: Path) -> bool:
    """List the dataset with the client `lightly` in its own process; return whether such a client is installed.

    The package has no `lightly.api` from 1.6 on.
    """
    _print_step(
        _PUBLISHED_CLIENT_STEP,
        "List all with the published client, unmodified: lightly.api.ApiWorkflowClient.download_raw_samples",
    )
    if find_spec("lightly") is None:
        _print_detail('skipped: it is not installed here; after `pip install "lightly<1.6"` this step runs')
        return False
    _print_detail(f"LIGHTLY_SERVER_LOCATION={url} and LIGHTLY_TOKEN=… are its only settings")
    # The client would send even requests to this machine through a proxy that a variable names.
    kept = {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}
    done = subprocess.run(
        [sys.executable, "-c", _PUBLISHED_CLIENT_SCRIPT, DATASET_NAME],
        env={**kept, "LIGHTLY_SERVER_LOCATION": url, "LIGHTLY_TOKEN": token},
        capture_output=True,
        text=True,
        timeout=_PUBLISHED_TIMEOUT_SECONDS,
        check=False,
    )
    if done.returncode == _EXIT_NOT_IMPORTABLE:
        _print_detail(f"skipped: {done.stdout.strip()}")
        return False
    _check(done.returncode == 0, f"the published client ended with {done.returncode}: {done.stderr[-1000:]}")
    version, rows = json.loads(done.stdout)
    expected = sorted(str(path.relative_to(bucket)) for path in bucket.rglob("*.png"))
    _check([name for name, _ in rows] == expected, "the published client does not list the folder's images")
    _print_detail(f"lightly {version}: {len(rows)} samples, the first {rows[0][0]}; each with a read URL")
    return True


def _list_rows(api: DatasourcesApi, dataset: MongoObjectID, since: int, to: int) -> Iterator[Any]:
    """Yield all rows of a listing. The cursor of each page requests the next one, while there are more."""
    from swagger_client.model.timestamp import Timestamp

    page = api.get_list_of_raw_samples_from_datasource_by_dataset_id(dataset, _from=Timestamp(since), to=Timestamp(to))
    while True:
        _print_detail(f"a page of {len(page.data)}, more to come: {'yes' if page.has_more else 'no'}")
        yield from page.data
        if not page.has_more:
            return
        page = api.get_list_of_raw_samples_from_datasource_by_dataset_id(dataset, cursor=page.cursor)


def _environment(folder: Path, files: Path) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("HEADWATER_")}
    return {
        **kept,
        "HEADWATER_DATA_DIR": str(folder / "data"),
        "HEADWATER_LOCAL_ROOT": str(files),
        "HEADWATER_PAGE_SIZE": str(PAGE_SIZE),
        "HEADWATER_PORT": "0",
    }


def _run_headwater(environ: dict[str, str], *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "headwater", *arguments], env=environ, capture_output=True, text=True, check=False
    )
    _check(done.returncode == 0, f"headwater {' '.join(arguments)} ended with {done.returncode}: {done.stderr}")
    return done.stdout.strip()


@contextmanager
def _server(environ: dict[str, str]) -> Iterator[str]:
    """Yield the URL of a server that runs during the block."""
    log = Path(environ["HEADWATER_DATA_DIR"]).with_name("server.log")
    with log.open("wb") as stderr:
        server = subprocess.Popen(
            [sys.executable, "-m", "headwater", "serve"],
            env=environ,
            stdout=subprocess.PIPE,
            stderr=stderr,
            text=True,
        )
    assert server.stdout is not None
    try:
        found = re.search(r"listens on (\S+)", server.stdout.readline())
        if found is None:
            raise StepFailedError(f"the server did not start: {log.read_text()}")
        yield found[1]
    finally:
        server.terminate()
        code = server.wait(_STOP_TIMEOUT_SECONDS)
        server.stdout.close()
    _check(code == 0, f"the server ended with {code}")


def _make_images(bucket: Path) -> None:
    yesterday = time.time() - 86400
    for index in range(IMAGE_COUNT):
        path = bucket / f"day_{index // 50:02}" / f"img_{index:04}.png"
        _write_image(path, index)
        os.utime(path, (yesterday + index, yesterday + index))


def _write_image(path: Path, seed: int) -> None:
    """Write a valid PNG of 32 by 32 pixels, with a gradient that differs between images."""
    side = 32
    lines = b"".join(
        b"\0" + bytes(v for x in range(side) for v in ((x * 8 + seed) % 256, (y * 8) % 256, seed * 37 % 256))
        for y in range(side)
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n"
        + _chunk(b"IHDR", struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0))
        + _chunk(b"IDAT", zlib.compress(lines))
        + _chunk(b"IEND", b"")
    )


def _chunk(chunk_type: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + chunk_type + data + struct.pack(">I", zlib.crc32(chunk_type + data))


def _print_step(number: int, text: str) -> None:
    print(f"\n{number:>2}. {text}", flush=True)


def _print_detail(text: str) -> None:
    print(f"      {text}", flush=True)


def _check(holds: bool, otherwise: str) -> None:
    if not holds:
        raise StepFailedError(otherwise)
