"""Redirected read URLs (contract.md#redirected-read-urls)."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from tests.live import Live, fetch


def local(bucket: Path, path: str = "", **more: str) -> dict[str, str]:
    return {"type": "LOCAL", "fullPath": f"{bucket.name}/{path}", **more}


def make(bucket: Path, *names: str) -> None:
    for name in names:
        (bucket / name).parent.mkdir(parents=True, exist_ok=True)
        (bucket / name).write_bytes(name.encode())


def redirected(live: Live, dataset: str, operation: str = "list", **more: str) -> dict[str, str]:
    rows = live.rows(dataset, operation, useRedirectedReadUrl="True", **more)
    return {row["fileName"]: row["readUrl"] for row in rows}


def test_redirected_url_leads_to_its_file(live: Live, bucket: Path) -> None:
    names = [f"{index:02}.png" for index in range(9)] + ["a b+c%20#?&=.png", "ü/🙂.png", "x//y.png".replace("//", "/")]
    make(bucket, *names)
    dataset = live.configured(local(bucket))
    urls = redirected(live, dataset)
    assert set(urls) == set(names)
    for name, url in urls.items():
        assert url.startswith(f"{live.url}/v1/datasets/{dataset}/datasource/readurlRedirect?path=")
        for method in ("GET", "HEAD"):
            answer = fetch(url, method)
            assert (answer.status, answer.headers["Cache-Control"], answer.body) == (307, "no-store", b"")
            found = fetch(answer.headers["Location"], method)
            assert (found.status, found.body) == (200, name.encode() if method == "GET" else b"")
    assert not set(urls.values()) & {row["readUrl"] for row in live.rows(dataset)}


def test_public_token_is_no_credential(live: Live, bucket: Path) -> None:
    make(bucket, "a.png")
    dataset = live.configured(local(bucket))
    url = redirected(live, dataset)["a.png"]
    public = parse_qs(urlsplit(url).query)["publicToken"][0]
    answer = live.call("GET", live.datasource(dataset), token=public)
    assert (answer.status, answer.code) == (401, "UNAUTHORIZED")
    answer = live.call("GET", live.datasource(dataset), token="", query={"publicToken": public})
    assert (answer.status, answer.code) == (401, "UNAUTHORIZED")


def test_altered_urls_are_refused_with_the_same_text(live: Live, bucket: Path) -> None:
    make(bucket, "a.png", "b.png")
    dataset, other = live.configured(local(bucket)), live.configured(local(bucket))
    url = redirected(live, dataset)["a.png"]
    forged = [
        url.replace("a.png", "b.png"),
        url.replace("a.png", "absent.png"),
        url.replace(dataset, other),
        url.replace(dataset, "f" * 24),
        url[:-1] + ("A" if url[-1] != "A" else "B"),
    ]
    texts = set()
    for wrong in forged:
        answer = fetch(wrong)
        assert (answer.status, answer.code) == (403, "FORBIDDEN"), wrong
        texts.add(answer.text)
    assert len(texts) == 1, "the text does not reveal what exists"
    bare = url.partition("&publicToken")[0]
    assert (fetch(bare).status, fetch(bare).code) == (401, "UNAUTHORIZED")
    assert fetch(bare + "&publicToken=").code == "UNAUTHORIZED"
    assert fetch(url.replace("path=a.png", "path=")).code == "MALFORMED_REQUEST"
    assert fetch(url.replace(dataset, "nonsense")).code == "MALFORMED_REQUEST"
    assert fetch(url, "PUT").status == 405


def test_redirected_url_is_invalid_after_a_move_or_deletion(live: Live, bucket: Path) -> None:
    make(bucket, "one/a.png", "two/a.png")
    dataset = live.configured(local(bucket, "one"))
    url = redirected(live, dataset)["a.png"]
    spelled = live.call("PUT", live.datasource(dataset), local(bucket, "one/", thumbSuffix="[filename]"))
    assert (spelled.status, fetch(url).status) == (200, 307)
    assert live.call("PUT", live.datasource(dataset), local(bucket, "two")).status == 200
    assert fetch(url).code == "FORBIDDEN"
    assert live.call("PUT", live.datasource(dataset), local(bucket, "one")).status == 200
    assert fetch(url).code == "FORBIDDEN"
    again = redirected(live, dataset)["a.png"]
    assert fetch(again).status == 307
    assert live.call("DELETE", f"/v1/datasets/{dataset}").status == 200
    assert fetch(again).code == "FORBIDDEN"


def test_redirected_url_follows_its_own_datasource(live: Live, bucket: Path) -> None:
    make(bucket, "in/a.png", "in/.lightly/metadata/x.json", "own/.lightly/metadata/x.json", "own/a.png")
    dataset = live.configured(local(bucket, "in", purpose="INPUT"))
    assert live.call("PUT", live.datasource(dataset), local(bucket, "own", purpose="LIGHTLY")).status == 200
    sample = redirected(live, dataset)["a.png"]
    metadata = redirected(live, dataset, "metadata/list")[".lightly/metadata/x.json"]
    for url, name in ((sample, "in/a.png"), (metadata, "own/.lightly/metadata/x.json")):
        assert fetch(fetch(url).headers["Location"]).body == name.encode()
    assert live.call("PUT", live.datasource(dataset), local(bucket, "own2", purpose="LIGHTLY")).status == 200
    assert fetch(sample).status == 307, "the input did not move"
    assert fetch(metadata).code == "FORBIDDEN"


def test_redirected_url_of_a_sample_ends_with_the_input_even_if_lightly_stays(live: Live, bucket: Path) -> None:
    """PUT INPUT at the location of an INPUT_OUTPUT handed the URLs of its raw samples over to the LIGHTLY datasource.

    A later move of the input did not revoke them.
    """
    make(bucket, "one/a.png", "one/.lightly/metadata/x.json", "two/a.png")

    def put(folder: str, purpose: str) -> None:
        assert live.call("PUT", live.datasource(dataset), local(bucket, folder, purpose=purpose)).status == 200

    dataset = live.configured(local(bucket, "one"))
    sample = redirected(live, dataset)["a.png"]
    metadata = redirected(live, dataset, "metadata/list")[".lightly/metadata/x.json"]
    put("one", "INPUT")
    assert fetch(sample).status == 307, "the input is where it was"
    put("one", "INPUT_OUTPUT")
    put("one", "LIGHTLY")
    assert (fetch(sample).status, fetch(metadata).status) == (307, 307), "both are where they were"
    put("two", "INPUT")
    assert (fetch(sample).code, fetch(metadata).status) == ("FORBIDDEN", 307)
    put("one", "INPUT")
    assert fetch(sample).code == "FORBIDDEN", "it moved since"
    put("two", "INPUT_OUTPUT")
    assert fetch(metadata).code == "FORBIDDEN"


def test_cursor_continues_as_long_as_what_it_lists_stays(live: Live, bucket: Path) -> None:
    """Other purposes of the same locations do not end a listing; a move does, of that which is listed."""
    make(bucket, "one/.lightly/metadata/x.json", "two/a.png", *(f"one/{number}.png" for number in range(3)))

    def lists(cursor: str, operation: str = "list") -> bool:
        return live.call("GET", live.datasource(dataset, operation), query={"cursor": cursor}).status == 200

    dataset = live.configured(local(bucket, "one"))
    raw = live.call("GET", live.datasource(dataset, "list/dnc"), query={"dncShards": "1"}).json["cursors"][0]
    metadata = live.call("GET", live.datasource(dataset, "metadata/list/dnc"), query={"dncShards": "1"})
    lightly = metadata.json["cursors"][0]
    for folder, purpose, moved in (
        ("one", "INPUT", ()),
        ("one", "INPUT_OUTPUT", ()),
        ("one", "LIGHTLY", ()),
        ("two", "INPUT", ("list",)),
        ("two", "LIGHTLY", ("list", "metadata/list")),
        ("one", "INPUT", ("metadata/list",)),
    ):
        assert live.call("PUT", live.datasource(dataset), local(bucket, folder, purpose=purpose)).status == 200
        assert lists(raw) is ("list" not in moved)
        assert lists(lightly, "metadata/list") is ("metadata/list" not in moved)


def test_public_token_is_not_logged(live: Live, bucket: Path) -> None:
    make(bucket, "a.png")
    url = redirected(live, live.configured(local(bucket)))["a.png"]
    fetch(url)
    fetch(url.replace("a.png", "b.png"))
    public = parse_qs(urlsplit(url).query)["publicToken"][0]
    assert public not in live.log.read_text()


def test_boolean_is_accepted_in_any_letter_case(live: Live, bucket: Path) -> None:
    make(bucket, "a.png")
    dataset = live.configured(local(bucket))
    for spelling, expected in (("true", True), ("TRUE", True), ("False", False), ("false", False)):
        (row,) = live.rows(dataset, useRedirectedReadUrl=spelling)
        assert ("readurlRedirect" in row["readUrl"]) is expected
    answer = live.call("GET", live.datasource(dataset, "list"), query={"useRedirectedReadUrl": "1"})
    assert answer.text == "useRedirectedReadUrl: expected true or false"
