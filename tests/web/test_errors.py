"""Headers of error responses (contract.md#errors)."""

from __future__ import annotations

import httpx
import pytest

from headwater.domain.dataset import NewDataset
from headwater.domain.users import NewToken
from headwater.service import admin, configure, limits
from headwater.service.context import open_context
from headwater.settings import Settings
from headwater.web.app import create_app
from tests.domain.configs import VALID
from tests.live import Live


def test_401_has_www_authenticate(live: Live) -> None:
    answer = live.call("GET", "/v1/datasets", token="")
    assert (answer.status, answer.code) == (401, "UNAUTHORIZED")
    assert answer.headers["WWW-Authenticate"].startswith("Bearer")


async def test_too_many_requests_are_429_with_retry_after(tmp_path: object, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "MAX_REQUESTS_PER_USER", 0)
    async with open_context(Settings.load({"HEADWATER_DATA_DIR": str(tmp_path)})) as ctx:
        token, _ = await admin.create_token(ctx, "ada", NewToken())
        dataset = await admin.create_dataset(ctx, "ada", NewDataset(name="busy"))
        await configure.put_datasource(ctx, await admin.find_dataset(ctx, dataset.id), VALID["LOCAL"])
        transport = httpx.ASGITransport(app=create_app(ctx))
        async with httpx.AsyncClient(transport=transport, base_url="http://headwater.test") as client:
            answer = await client.get(f"/v1/datasets/{dataset.id}/datasource/list", params={"token": token})
    assert (answer.status_code, answer.json()["code"]) == (429, "BAD_REQUEST")
    assert int(answer.headers["Retry-After"]) > 0
