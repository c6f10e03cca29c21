"""The kinds of histories."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Variant:
    """A kind of history.

    Attributes:
        name: the name on the command line.
        share: how many of 100 histories are of this kind.
        consumers: the number of datasets on the bucket, each with a poller that must get everything.
        shards: whether pollers and readers split their listings.
        replicas: whether requests alternate between two servers on one PostgreSQL.
        kills: whether the server is killed and restarted, with requests in flight.
        concurrent: whether pollers, readers and writers work at the same time, on a bucket that answers late.
        timeouts: whether the poller of a concurrent history gives up requests, which the server still handles.
    """

    name: str
    share: int
    consumers: int = 1
    shards: bool = False
    replicas: bool = False
    kills: bool = False
    concurrent: bool = False
    timeouts: bool = False


VARIANTS = {
    variant.name: variant
    for variant in (
        Variant(name="list", share=33),
        Variant(name="shards", share=14, shards=True),
        Variant(name="two-consumers", share=10, consumers=2, shards=True),
        Variant(name="kills", share=5, shards=True, kills=True),
        Variant(name="replicas", share=8, shards=True, replicas=True),
        Variant(name="concurrent", share=18, shards=True, concurrent=True),
        Variant(name="concurrent-replicas", share=5, consumers=2, shards=True, replicas=True, concurrent=True),
        Variant(name="concurrent-kills", share=1, shards=True, kills=True, concurrent=True),
        Variant(name="timeouts", share=6, shards=True, concurrent=True, timeouts=True),
    )
}
