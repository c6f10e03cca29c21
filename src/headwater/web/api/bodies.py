"""Response bodies of the contract, as the API and the command line print them."""

from __future__ import annotations

from typing import Any

import msgspec

from headwater.domain.sharing import Share
from headwater.domain.users import ApiToken
from headwater.service.datasets import DatasetSummary
from headwater.service.verify import Check, Verification


class SampleRow(msgspec.Struct, gc=False):
    """One listed file."""

    fileName: str  # noqa: N815  the name on the wire
    readUrl: str  # noqa: N815  the name on the wire


class SamplesPageBody(msgspec.Struct):
    """One page of a listing: `DatasourceRawSamplesData`."""

    hasMore: bool  # noqa: N815  the name on the wire
    cursor: str
    data: list[SampleRow]


_CHECK_NAMES = {
    Check.READ: "canRead",
    Check.WRITE: "canWrite",
    Check.LIST: "canList",
    Check.OVERWRITE: "canOverwrite",
}


def verification_body(verification: Verification) -> dict[str, Any]:
    """Return `DatasourceConfigVerifyData`: the four flags, and the errors if there are any."""
    body: dict[str, Any] = {name: check in verification.passed for check, name in _CHECK_NAMES.items()}
    if verification.errors:
        body["errors"] = {_CHECK_NAMES[check]: text for check, text in verification.errors.items()}
    return body


def dataset_body(summary: DatasetSummary) -> dict[str, Any]:
    """Return `DatasetData`."""
    dataset = summary.dataset
    body: dict[str, Any] = {
        "id": dataset.id,
        "name": dataset.name,
        "userId": dataset.owner,
        "type": dataset.type,
        "nSamples": dataset.n_samples,
        "sizeInBytes": dataset.size_in_bytes,
        "createdAt": dataset.created_at,
        "lastModifiedAt": dataset.modified_at,
        "datasources": list(summary.datasource_ids),
        "datasourceProcessedUntilTimestamp": dataset.watermark,
    }
    if dataset.img_type is not None:
        body["imgType"] = dataset.img_type
    if dataset.parent_id is not None:
        body["parentDatasetId"] = dataset.parent_id
    return body


def enriched_dataset_body(summary: DatasetSummary) -> dict[str, Any]:
    """Return `DatasetDataEnriched`."""
    body = dataset_body(summary)
    del body["datasourceProcessedUntilTimestamp"]  # not a member of this model; clients refuse unknown members
    return {**body, "samples": [], "nTags": 0, "nEmbeddings": 0}


def token_body(token: ApiToken) -> dict[str, Any]:
    """Return `TokenData`: what is known about a token, without the token itself."""
    return present(
        {
            "id": token.id,
            "user": token.user,
            "scope": token.limits.scope,
            "datasetId": token.limits.dataset_id,
            "label": token.limits.label,
            "createdAt": token.created_at,
            "expiresAt": token.limits.expires_at,
            "lastUsedAt": token.last_used_at,
            "revokedAt": token.revoked_at,
        }
    )


def share_body(share: Share) -> dict[str, Any]:
    """Return `ShareData`."""
    return {share.grantee.kind.value: share.grantee.name, "role": share.role, "createdAt": share.created_at}


def present(body: dict[str, Any]) -> dict[str, Any]:
    """Return the members that have a value: no response contains null."""
    return {name: value for name, value in body.items() if value is not None}
