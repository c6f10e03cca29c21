"""The conformance suite for S3DelegatedAccess: STS and the bucket are moto's."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import ClassVar

import pytest

from headwater.domain.datasource import S3DelegatedAccessConfig, parse_config
from headwater.net.refreshing import RefreshingCache
from headwater.net.transport import Transport
from headwater.stores.base import Store
from headwater.stores.s3.assumed_role import open_delegated
from headwater.stores.s3.sigv4 import Credentials
from headwater.testing import Prepared, StoreConformance
from headwater.testing.fault_proxy import FaultProxy
from tests.servers import AwsUser, GuardedAws, s3_client, trust
from tests.stores.s3.test_conformance import MotoBucket

EXTERNAL_ID = "external-id-of-ada"
ALL = ["s3:ListBucket", "s3:GetObject", "s3:PutObject", "s3:DeleteObject"]


class DelegatedBucket(MotoBucket):
    """A bucket of moto, accessed through a role."""

    role = "arn:aws:iam::123456789012:role/conformance"
    sts = ""
    sessions: RefreshingCache[Credentials]

    def connect(self, path: str, secret: str, endpoint: str) -> Store:
        config = parse_config(
            {
                "type": "S3DelegatedAccess",
                "fullPath": path,
                "s3Region": "eu-central-1",
                "s3ExternalId": EXTERNAL_ID,
                "s3ARN": self.role,
            }
        )
        assert isinstance(config, S3DelegatedAccessConfig)
        return open_delegated(config, self.transport, self.sessions, endpoint, self.sts or self.proxy.url)


class GuardedBucket(DelegatedBucket):
    """As above, with signatures, sessions and policies checked."""

    skipped_tests: ClassVar[Mapping[str, str]] = dict.fromkeys(
        (
            *(
                "test_a_get_url_reads_the_object",
                "test_a_head_url_describes_the_object",
                "test_a_put_url_writes_the_object",
            ),
            *("test_a_url_is_valid_only_for_its_object_and_method", "test_a_url_expires"),
        ),
        "moto answers 500 to signed URLs where it checks signatures",
    )
    stranger_role = ""

    def open_with_wrong_credentials(self) -> Store:
        """Open the store with a role that allows nothing."""
        own, self.role = self.role, self.stranger_role
        try:
            return self.connect(self.name, "", self.proxy.url)
        finally:
            self.role = own


class TestDelegatedOnMoto(StoreConformance):
    """STS and S3 by moto, which checks nothing."""

    @pytest.fixture
    async def prepared(
        self, moto: str, own_identity: AwsUser, transport: Transport, sessions: RefreshingCache[Credentials]
    ) -> AsyncIterator[Prepared]:
        with FaultProxy(moto) as proxy, s3_client(moto) as client:
            bucket = DelegatedBucket(client, proxy, transport)
            bucket.sessions = sessions
            bucket.sts = moto
            yield bucket


class TestDelegatedOnGuardedMoto(StoreConformance):
    """STS and S3 by moto, which checks signatures, the external id, and what the role may do."""

    @pytest.fixture
    async def prepared(
        self, guarded: GuardedAws, own_identity: AwsUser, transport: Transport, sessions: RefreshingCache[Credentials]
    ) -> AsyncIterator[Prepared]:
        with FaultProxy(guarded.url) as proxy:
            bucket = GuardedBucket(guarded.s3, proxy, transport)
            bucket.sessions = sessions
            bucket.sts = guarded.url
            bucket.role = guarded.role(ALL, trust(own_identity, EXTERNAL_ID))
            bucket.stranger_role = guarded.role(["s3:ListAllMyBuckets"], trust(own_identity, EXTERNAL_ID))
            yield bucket
