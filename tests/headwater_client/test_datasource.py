"""Setting a datasource: a reset of the watermark does not go unnoticed."""

from __future__ import annotations

import warnings

import pytest

import swagger_client
from headwater_client import WatermarkResetWarning, set_datasource
from swagger_client.api.datasources_api import DatasourcesApi
from swagger_client.model.datasource_config_local import DatasourceConfigLOCAL
from tests.client.server import DATASET, PATH, Answer, Scripted, failure
from tests.live import Live

CONFIG = DatasourceConfigLOCAL(type="LOCAL", full_path="other")
RESET = Answer(headers={"headwater-watermark-reset": "1577836800"})


def test_a_reset_of_the_watermark_is_a_warning(plain_api: DatasourcesApi, server: Scripted) -> None:
    """A datasource that moved made the next poll list everything again, without a word."""
    server.script(RESET)
    with pytest.warns(WatermarkResetWarning) as caught:
        assert set_datasource(plain_api, DATASET, CONFIG) == 1_577_836_800
    (warning,) = caught
    assert str(warning.message) == (
        f"the datasource of dataset {DATASET} was moved to other data, so its watermark was reset from 1577836800 "
        "(2020-01-01 00:00:00 UTC) to 0: the next new_samples lists all files"
    )
    assert warning.filename == __file__, "the line of the caller"
    assert (server.request.method, server.request.path) == ("PUT", PATH)
    assert server.request.json == {"type": "LOCAL", "fullPath": "other"}


def test_the_warning_can_be_an_exception(plain_api: DatasourcesApi, server: Scripted) -> None:
    server.script(RESET)
    with warnings.catch_warnings():
        warnings.simplefilter("error", WatermarkResetWarning)
        with pytest.raises(WatermarkResetWarning, match="1577836800"):
            set_datasource(plain_api, DATASET, CONFIG)


@pytest.mark.parametrize("value", [None, "", "-1", "soon", "٣"])
def test_without_a_reset_there_is_no_warning(plain_api: DatasourcesApi, server: Scripted, value: str | None) -> None:
    headers = {} if value is None else {"Headwater-Watermark-Reset": value.encode().decode("latin-1")}
    server.script(Answer(headers=headers))
    assert set_datasource(plain_api, DATASET, {"type": "LOCAL", "full_path": "other"}) is None


def test_a_watermark_that_is_no_date(plain_api: DatasourcesApi, server: Scripted) -> None:
    server.script(Answer(headers={"Headwater-Watermark-Reset": "9" * 30}))
    with pytest.warns(WatermarkResetWarning, match=r"reset from 9{30} to 0"):
        set_datasource(plain_api, DATASET, CONFIG)


def test_the_operation_itself_stays_silent(plain_api: DatasourcesApi, server: Scripted) -> None:
    """Programs of the published client would get a warning that they do not expect; the header is there for others."""
    server.script(RESET)
    assert plain_api.update_datasource_by_dataset_id(DATASET, CONFIG) is None  # type: ignore[func-returns-value]
    last = plain_api.api_client.last_response
    assert last.getheader("Headwater-Watermark-Reset") == "1577836800"


def test_errors_are_those_of_the_operation(plain_api: DatasourcesApi, server: Scripted) -> None:
    server.script(failure(403, "FORBIDDEN", "Not yours."))
    with pytest.raises(swagger_client.ForbiddenException, match="Not yours"):
        set_datasource(plain_api, DATASET, CONFIG)


def test_a_real_server(live: Live, live_api: DatasourcesApi) -> None:
    dataset = live.dataset()
    assert set_datasource(live_api, dataset, CONFIG) is None
    assert live_api.get_datasource_by_dataset_id(dataset).full_path == "other"
    watermark = {"processed_until_timestamp": 1_577_836_800}
    live_api.update_datasource_processed_until_timestamp_by_dataset_id(dataset, watermark)
    assert set_datasource(live_api, dataset, CONFIG) is None, "it points to the same folder"
    with pytest.warns(WatermarkResetWarning, match="from 1577836800"):
        assert set_datasource(live_api, dataset, {"type": "LOCAL", "full_path": "moved"}) == 1_577_836_800
