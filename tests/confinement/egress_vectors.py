"""Every way we know to aim the server at an address that only it can reach, as a table.

`test_egress.py` tries each with a real server, in a network where all addresses lead to a listener that counts
connections. `tests/net/test_egress.py` tries the addresses with the rule alone.
"""

from __future__ import annotations

import json
from typing import Any, NamedTuple

NEVER = """
169.254.169.254 169.254.0.1 fe80::1 fe80::1%eth0 fd00:ec2::254 fd20:ce::254 100.100.100.200 168.63.129.16 192.0.0.192
0.0.0.0 0.1.2.3 :: ::2 224.0.0.1 239.255.255.250 255.255.255.255 ff02::1
::ffff:169.254.169.254 ::ffff:a9fe:a9fe ::169.254.169.254 64:ff9b::169.254.169.254 2002:a9fe:a9fe::1
2001:0:a9fe:a9fe::1 2001:0:808:808:0:0:5601:5601
""".split()
"""Metadata, link-local, unspecified and multicast addresses, plain and embedded in others. No setting allows them."""

GUARDED = """
127.0.0.1 127.9.9.9 ::1 10.0.0.1 172.16.0.1 172.31.255.255 192.168.1.1 fc00::1 fdff::1 fec0::1 100.64.0.1
192.0.0.1 192.0.2.1 198.18.0.1 198.51.100.1 203.0.113.1 240.0.0.1 2001:db8::1 3fff::1 4000::1 64:ff9b:1::1 100::1
::ffff:127.0.0.1 ::ffff:7f00:1 ::ffff:0:7f00:1 ::127.0.0.1 64:ff9b::127.0.0.1 64:ff9b::10.0.0.1 2002:7f00:1::1
2001:0:7f00:1::1
""".split()
"""Loopback, private, shared and reserved addresses. `HEADWATER_ALLOWED_ENDPOINTS` allows them."""

LOOPBACK_SPELLINGS = """
localhost LOCALHOST localhost. LocalHost 127.1 127.0.1 127.000.000.001 2130706433 0x7f000001 0x7F.1 0x7f.0x0.0x0.0x1
0177.0.0.1 0177.1 017700000001 00000177.0.0.01 127.0.0.1. 127.0.0.2 127.255.255.254 0 0x0 00
[::1] [0:0:0:0:0:0:0:1] [0000:0000:0000:0000:0000:0000:0000:0001] [::0001] [::ffff:127.0.0.1] [::FFFF:7F00:0001]
[::ffff:0:127.0.0.1] [::127.0.0.1] [::] [::1%25lo] [::1%lo] [64:ff9b::7f00:1] [2002:7f00:1::]
①②⑦.⓪.⓪.① １２７.０.０.１ 127。0。0。1 127．0．0．1 ｌｏｃａｌｈｏｓｔ loc\u00adalhost
127.0.0.1%00 127.0.0.1%2f localhost%2e
""".split()
"""Hosts that a resolver, a URL parser or a browser may take for this machine."""

METADATA_SPELLINGS = """
2852039166 0xa9fea9fe 0xA9.0xFE.0xA9.0xFE 0251.0376.0251.0376 025177524776 169.254.43518 169.16689662
[::ffff:169.254.169.254] [::ffff:a9fe:a9fe] [fd00:ec2::254] [FD00:0EC2:0:0:0:0:0:0254] [fe80::1%25lo] [fe80::1%lo]
100.100.100.200. 1684301000 metadata.test
""".split()
"""The same for the metadata services of clouds."""

PRIVATE_SPELLINGS = "167772161 0xa000001 012.0.0.1 10.1 192.168.257 0xc0a80101 172.1048577 [::ffff:10.0.0.1]".split()

PUBLIC = "8.8.8.8"
"""An address that users may point to: here it leads to the listener, too, which acts as a store."""

STORE = "http://store.test:{port}"
"""A user's store at the public address."""

NAMES = {
    **{f"name-{number}.test": [address] for number, address in enumerate([*NEVER, *GUARDED]) if "%" not in address},
    "metadata.test": ["169.254.169.254"],
    "store.test": [PUBLIC],
    "both.test": [PUBLIC, "127.0.0.1"],
    "both-reversed.test": ["127.0.0.1", PUBLIC],
    "both-metadata.test": ["169.254.169.254", "::1"],
    "trapped.blob.core.windows.net": ["127.0.0.1"],
    "trapped.s3.eu-central-1.amazonaws.com": ["169.254.169.254"],
    "s3.eu-central-1.amazonaws.com": ["10.0.0.1"],
    "oauth2.googleapis.com": ["127.0.0.1"],
    "storage.googleapis.com": ["127.0.0.1"],
}
"""What the names of the test resolve to, as attackers set their DNS, or as a resolver lies."""


class Vector(NamedTuple):
    """A datasource that aims at what it must not reach.

    Attributes:
        id: the name of the test case.
        config: its config; `{port}` in a value is the port of the listener, `{other}` another port of it.
        answer: how the listener answers on the public address, if it is asked there: a key of `ANSWERS`.
        may_reach_public: whether the server may connect to the public address meanwhile.
    """

    id: str
    config: dict[str, Any]
    answer: str = ""
    may_reach_public: bool = False


def obs(endpoint: str, path: str = "bucket/a") -> dict[str, Any]:
    """Return the config of a store at an endpoint."""
    return {
        "type": "OBS",
        "fullPath": path,
        "obsEndpoint": endpoint,
        "obsAccessKeyId": "test-key-id",
        "obsSecretAccessKey": "test-secret",
    }


def gcs(token_uri: str, path: str = "bucket/a") -> dict[str, Any]:
    """Return the config of a bucket whose key file names a host. `{key}` becomes a private key."""
    members = {"client_email": "a@b.iam.gserviceaccount.com", "private_key_id": "1", "private_key": "{key}"}
    key_file = json.dumps({"type": "service_account", "token_uri": token_uri, **members})
    return {"type": "GCS", "fullPath": path, "gcsProjectId": "project", "gcsCredentials": key_file}


def azure(account: str) -> dict[str, Any]:
    """Return the config of a container of an account."""
    return {"type": "AZURE", "fullPath": "container/a", "accountName": account, "accountKey": "dGVzdA=="}


def s3(bucket: str, region: str = "eu-central-1") -> dict[str, Any]:
    """Return the config of a bucket at AWS."""
    key = {"s3AccessKeyId": "test-key-id", "s3SecretAccessKey": "test-secret"}
    return {"type": "S3", "fullPath": bucket, "s3Region": region, **key}


def _host(address: str) -> str:
    return f"[{address}]" if ":" in address else address


_ENDPOINTS = {
    "user-info": "http://user:password@127.0.0.1:{port}",
    "user-info-that-looks-like-a-host": "http://store.test@127.0.0.1:{port}",
    "encoded-user-info": "http://store.test%40127.0.0.1:{port}",
    "backslash": "http://127.0.0.1:{port}\\@store.test/",
    "fragment-before-at": "http://store.test#@127.0.0.1:{port}/",
    "query-before-at": "http://store.test?@127.0.0.1:{port}/",
    "two-ats": "http://a@store.test@127.0.0.1:{port}/",
    "line-break": "http://store.test\r\nHost: 127.0.0.1:{port}",
    "line-break-in-the-path": "http://127.0.0.1:{port}/\r\nX: y",
    "tab-in-the-host": "http://127.0\t.0.1:{port}",
    "nul": "http://127.0.0.1\0.store.test:{port}",
    "blank": "http://127.0.0.1 .store.test:{port}",
    "no-host": "http://:{port}",
    "three-slashes": "http:///127.0.0.1:{port}",
    "one-slash": "http:/127.0.0.1:{port}",
    "upper-case-scheme": "HTTP://127.0.0.1:{port}",
    "https": "https://127.0.0.1",
    "https-port": "https://127.0.0.1:{port}",
    "default-port": "http://127.0.0.1",
    "port-0": "http://127.0.0.1:0",
    "port-too-large": "http://127.0.0.1:99999",
    "port-with-sign": "http://127.0.0.1:+{port}",
    "port-that-is-no-number": "http://127.0.0.1:{port}a",
    "ssh-port": "http://127.0.0.1:22",
    "path-to-leave": "http://127.0.0.1:{port}/../..",
    "region": "http://127.0.0.1:{port}?region=eu-central-1",
    "unix-socket": "http+unix://%2Fvar%2Frun%2Fdocker.sock/",
    "unix-scheme": "unix:///var/run/docker.sock",
    "http-unix-host": "http://unix:/var/run/docker.sock:/",
    "file": "file:///etc/passwd",
    "ftp": "ftp://127.0.0.1:{port}/",
    "gopher": "gopher://127.0.0.1:{port}/_GET",
    "dict": "dict://127.0.0.1:{port}/",
    "ldap": "ldap://127.0.0.1:{port}/",
    "no-scheme": "//127.0.0.1:{port}/",
    "data": "data:text/plain,x",
    "javascript": "javascript://127.0.0.1:{port}/%0a",
    "host-with-wildcard": "http://*.127.0.0.1:{port}",
    "ipv6-zone-encoded-twice": "http://[fe80::1%2525lo]:{port}",
    "ipv6-without-brackets": "http://::1:{port}",
    "ipv6-unfinished": "http://[::1",
    "very-long-host": f"http://{'a.' * 2000}test:{{port}}",
}

_MEMBERS = {
    "gcs-token-uri-loopback": gcs("http://127.0.0.1:{port}/token"),
    "gcs-token-uri-metadata": gcs("http://169.254.169.254/computeMetadata/v1/"),
    "gcs-token-uri-user-info": gcs("https://oauth2.googleapis.com@127.0.0.1:{port}/token"),
    "gcs-token-uri-google-with-port": gcs("https://oauth2.googleapis.com:{port}/token"),
    "gcs-token-uri-google-http": gcs("http://oauth2.googleapis.com/token"),
    "gcs-token-uri-google-suffix": gcs("https://oauth2.googleapis.com.name-0.test/token"),
    "gcs-token-uri-public-host": gcs("http://store.test:{port}/token"),
    "gcs-token-uri-google-that-resolves-to-loopback": gcs("https://oauth2.googleapis.com/token"),
    "gcs-token-uri-file": gcs("file:///etc/passwd"),
    "azure-account-address": azure("127.0.0.1"),
    "azure-account-with-port": azure("127.0.0.1:{port}"),
    "azure-account-url": azure("http://127.0.0.1:{port}/devstoreaccount1"),
    "azure-account-https-url": azure("https://127.0.0.1:{port}/"),
    "azure-account-localhost": azure("localhost"),
    "azure-account-metadata": azure("metadata.test"),
    "azure-account-slash": azure("127.0.0.1/"),
    "azure-account-user-info": azure("account.blob.core.windows.net@127.0.0.1"),
    "azure-account-fragment": azure("127.0.0.1#.blob.core.windows.net"),
    "azure-account-query": azure("127.0.0.1?.blob.core.windows.net"),
    "azure-account-suffix": azure("account.blob.core.windows.net.name-0.test"),
    "azure-account-that-resolves-to-loopback": azure("trapped"),
    "s3-bucket-that-resolves-to-metadata": s3("trapped/a"),
    "s3-bucket-host": s3("127.0.0.1:{port}/a"),
    "s3-bucket-at": s3("a@127.0.0.1/a"),
    "s3-bucket-fragment": s3("127.0.0.1#/a"),
    "s3-bucket-with-dots-and-host-that-resolves-to-private": s3("a.b.c/a"),
    "s3-region": s3("bucket/a", "127.0.0.1:{port}/#"),
    "s3-access-point": s3("arn:aws:s3:127.0.0.1:{port}:123456789012:accesspoint/a/b"),
    "local-web-server": {"type": "LOCAL", "fullPath": "files", "webServerLocation": "http://127.0.0.1:{port}/"},
    "local-web-server-metadata": {
        **{"type": "LOCAL", "fullPath": "files"},
        "webServerLocation": "http://169.254.169.254/latest",
    },
}

_INSIDE = "http://127.0.0.1:{other}/bucket"

ANSWERS = {
    **{
        f"redirect-{status}": (status, {"Location": _INSIDE}, "")
        for status in ("301 Moved", "302 Found", "303 See Other", "307 Temporary Redirect", "308 Permanent Redirect")
    },
    "redirect-to-metadata": ("302 Found", {"Location": "http://169.254.169.254:{other}/latest/meta-data/"}, ""),
    "redirect-without-scheme": ("307 Temporary Redirect", {"Location": "//127.0.0.1:{other}/"}, ""),
    "refresh": ("200 OK", {"Refresh": f"0; url={_INSIDE}"}, ""),
    "s3-temporary-redirect": (
        "307 Temporary Redirect",
        {"Location": _INSIDE},
        "<Error><Code>TemporaryRedirect</Code><Endpoint>127.0.0.1:{other}</Endpoint><Bucket>b</Bucket></Error>",
    ),
    "s3-permanent-redirect": (
        "301 Moved Permanently",
        {"x-amz-bucket-region": "127.0.0.1:{other}/"},
        "<Error><Code>PermanentRedirect</Code><Endpoint>127.0.0.1:{other}</Endpoint></Error>",
    ),
    "s3-other-region": (
        "400 Bad Request",
        {"x-amz-bucket-region": "127.0.0.1"},
        "<Error><Code>AuthorizationHeaderMalformed</Code><Region>127.0.0.1</Region></Error>",
    ),
    "external-entity": (
        "200 OK",
        {"Content-Type": "application/xml"},
        '<!DOCTYPE r [<!ENTITY x SYSTEM "http://127.0.0.1:{other}/">]><ListBucketResult>&x;</ListBucketResult>',
    ),
    "external-dtd": (
        "200 OK",
        {"Content-Type": "application/xml"},
        '<!DOCTYPE r SYSTEM "http://127.0.0.1:{other}/x.dtd"><ListBucketResult/>',
    ),
    "xml-schema-location": (
        "200 OK",
        {"Content-Type": "application/xml"},
        '<ListBucketResult xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" '
        'xsi:schemaLocation="x http://127.0.0.1:{other}/"/>',
    ),
    "alternative-service": ("200 OK", {"Alt-Svc": 'h2="127.0.0.1:{other}"; ma=3600'}, "<ListBucketResult/>"),
    "close-and-proxy": ("305 Use Proxy", {"Location": _INSIDE, "Proxy-Connection": "close"}, ""),
}
"""How a hostile store answers: the status, the headers and the body."""

VECTORS = [
    *(Vector(f"never {address}", obs(f"http://{_host(address)}:{{port}}")) for address in NEVER),
    *(Vector(f"guarded {address}", obs(f"http://{_host(address)}:{{port}}")) for address in GUARDED),
    *(
        Vector(f"spelling {host.encode('ascii', 'backslashreplace').decode()}", obs(f"http://{host}:{{port}}"))
        for host in (*LOOPBACK_SPELLINGS, *METADATA_SPELLINGS, *PRIVATE_SPELLINGS)
    ),
    *(
        Vector(f"name of {addresses[0]}", obs(f"http://{name}:{{port}}"))
        for name, addresses in NAMES.items()
        if name.startswith("name-")
    ),
    Vector("name of both", obs("http://both.test:{port}"), may_reach_public=True),
    Vector("name of both, reversed", obs("http://both-reversed.test:{port}"), may_reach_public=True),
    Vector("name of two that are forbidden", obs("http://both-metadata.test:{port}")),
    Vector("name in capitals with a dot", obs("http://NAME-24.TEST.:{port}")),
    *(Vector(f"endpoint {name}", obs(url)) for name, url in _ENDPOINTS.items()),
    *(Vector(f"member {name}", config) for name, config in _MEMBERS.items()),
    *(Vector(f"answer {name}", obs(STORE), name, may_reach_public=True) for name in ANSWERS),
]
