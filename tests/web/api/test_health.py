"""Health checks."""

from __future__ import annotations

from pathlib import Path

from tests.live import Live, command, environ_for, request, running


def test_health_checks_need_no_token(live: Live) -> None:
    assert request(live.url, path="/healthz").json == {"status": "ok"}
    assert request(live.url, path="/readyz").json == {"status": "ready"}
    head = request(live.url, "HEAD", "/healthz")
    assert (head.status, head.body) == (200, b"")


def test_deleted_catalog_is_not_ready_and_not_written_to(tmp_path: Path) -> None:
    """PUT was a 200 and `/readyz` said that the server was ready; after a restart all was gone."""
    with running(tmp_path, local_root=str(tmp_path)) as server:
        dataset = server.configured({"type": "LOCAL", "fullPath": "files"})
        data = tmp_path / "data"
        (data / "headwater.db").rename(data / "elsewhere")
        ready = request(server.url, path="/readyz")
        put = server.call("PUT", server.datasource(dataset), {"type": "LOCAL", "fullPath": "other"})
        for answer in (ready, put):
            assert (answer.status, answer.code, answer.headers["Retry-After"]) == (503, "MALFORMED_RESPONSE", "5")
            assert "was removed or replaced while the server used it" in answer.text
            assert str(tmp_path) not in answer.text
        assert request(server.url, path="/healthz").status == 200
        assert str(data / "headwater.db") in server.log.read_text()
        assert not (data / "headwater.db").exists()
        (data / "elsewhere").rename(data / "headwater.db")
        assert request(server.url, path="/readyz").status == 200
        assert server.call("GET", server.datasource(dataset)).json["fullPath"] == "files"


def test_no_command_starts_on_an_empty_catalog_file(tmp_path: Path) -> None:
    """It was silently taken for a new catalog: no dataset, and no token was valid."""
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "headwater.db").touch()
    for arguments in (("serve",), ("token", "list"), ("dataset", "list")):
        done = command(environ_for(tmp_path / "data"), *arguments)
        assert done.returncode != 0
        assert "is an empty file" in done.stderr
        assert "Traceback" not in done.stderr
