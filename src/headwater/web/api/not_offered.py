"""The routes of the published API that this server does not offer.

Their response is 404 NOT_IMPLEMENTED instead of NOT_FOUND (contract.md#errors), which tells the user of a published
client that the client is not at fault. The list is that of the last published version (June 2025), without the
routes of `openapi/datasources.yaml`.
"""

from __future__ import annotations

import re

NOT_OFFERED: tuple[str, ...] = (
    "/users/datasets/{datasetId}/samples/{sampleId}/embeddings",
    "/v1/datasets/{datasetId}/collaboration/access",
    "/v1/datasets/{datasetId}/collaboration/access/{accessConfigId}",
    "/v1/datasets/{datasetId}/configuration/metadata",
    "/v1/datasets/{datasetId}/configuration/metadata/{configurationId}",
    "/v1/datasets/{datasetId}/docker/worker/schedule",
    "/v1/datasets/{datasetId}/docker/worker/schedule/{scheduledId}",
    "/v1/datasets/{datasetId}/docker/worker/{workerId}/schedule/{scheduledId}",
    "/v1/datasets/{datasetId}/embeddings",
    "/v1/datasets/{datasetId}/embeddings/writeCSVUrl",
    "/v1/datasets/{datasetId}/embeddings/{embeddingId}",
    "/v1/datasets/{datasetId}/embeddings/{embeddingId}/2d",
    "/v1/datasets/{datasetId}/embeddings/{embeddingId}/2d/{embedding2dId}",
    "/v1/datasets/{datasetId}/embeddings/{embeddingId}/isProcessed",
    "/v1/datasets/{datasetId}/embeddings/{embeddingId}/readCSVUrl",
    "/v1/datasets/{datasetId}/embeddings/{embeddingId}/sampling",
    "/v1/datasets/{datasetId}/embeddings/{embeddingId}/trigger2dEmbeddingsJob",
    "/v1/datasets/{datasetId}/mappings",
    "/v1/datasets/{datasetId}/predictions/samples",
    "/v1/datasets/{datasetId}/predictions/samples/{sampleId}",
    "/v1/datasets/{datasetId}/predictions/scores",
    "/v1/datasets/{datasetId}/predictions/scores/{scoreId}",
    "/v1/datasets/{datasetId}/predictions/tasks",
    "/v1/datasets/{datasetId}/predictions/tasks/{taskName}",
    "/v1/datasets/{datasetId}/samples",
    "/v1/datasets/{datasetId}/samples/partial",
    "/v1/datasets/{datasetId}/samples/withWriteUrls",
    "/v1/datasets/{datasetId}/samples/{sampleId}",
    "/v1/datasets/{datasetId}/samples/{sampleId}/readurl",
    "/v1/datasets/{datasetId}/samples/{sampleId}/readurlRedirect",
    "/v1/datasets/{datasetId}/samples/{sampleId}/writeurl",
    "/v1/datasets/{datasetId}/samples/{sampleId}/writeurls",
    "/v1/datasets/{datasetId}/tags",
    "/v1/datasets/{datasetId}/tags/arithmetics",
    "/v1/datasets/{datasetId}/tags/arithmetics/bitmask",
    "/v1/datasets/{datasetId}/tags/initial",
    "/v1/datasets/{datasetId}/tags/upsize",
    "/v1/datasets/{datasetId}/tags/{tagId}",
    "/v1/datasets/{datasetId}/tags/{tagId}/export/LabelBox/datarows",
    "/v1/datasets/{datasetId}/tags/{tagId}/export/LabelBoxV4/datarows",
    "/v1/datasets/{datasetId}/tags/{tagId}/export/LabelStudio/tasks",
    "/v1/datasets/{datasetId}/tags/{tagId}/export/Sama/tasks",
    "/v1/datasets/{datasetId}/tags/{tagId}/export/basic/filenames",
    "/v1/datasets/{datasetId}/tags/{tagId}/export/basic/filenamesAndReadUrls",
    "/v1/datasets/{datasetId}/tags/{tagId}/export/zip",
    "/v1/datasets/{datasetId}/tags/{tagId}/filenames",
    "/v1/datasets/{datasetId}/tags/{tagId}/scores",
    "/v1/datasets/{datasetId}/tags/{tagId}/scores/{scoreId}",
    "/v1/docker",
    "/v1/docker/authorization",
    "/v1/docker/licenseInformation",
    "/v1/docker/runs",
    "/v1/docker/runs/count",
    "/v1/docker/runs/query/datasetId/{datasetId}",
    "/v1/docker/runs/schedule/{scheduledId}",
    "/v1/docker/runs/{runId}",
    "/v1/docker/runs/{runId}/artifacts",
    "/v1/docker/runs/{runId}/artifacts/{artifactId}/confirmUpload",
    "/v1/docker/runs/{runId}/artifacts/{artifactId}/readurl",
    "/v1/docker/runs/{runId}/logs",
    "/v1/docker/runs/{runId}/readReportUrl",
    "/v1/docker/runs/{runId}/tags",
    "/v1/docker/runs/{runId}/writeReportUrl",
    "/v1/docker/worker",
    "/v1/docker/worker/config",
    "/v1/docker/worker/config/v2",
    "/v1/docker/worker/config/v2/{configId}",
    "/v1/docker/worker/config/v3",
    "/v1/docker/worker/config/v3/{configId}",
    "/v1/docker/worker/config/vX",
    "/v1/docker/worker/config/vX/{configId}",
    "/v1/docker/worker/config/{configId}",
    "/v1/docker/worker/default",
    "/v1/docker/worker/schedule",
    "/v1/docker/worker/{workerId}",
    "/v1/docker/worker/{workerId}/schedule",
    "/v1/docker/workerAuthorization",
    "/v1/jobs",
    "/v1/jobs/{jobId}",
    "/v1/quota",
    "/v1/teams/{teamId}",
    "/v1/teams/{teamId}/members",
    "/v1/teams/{teamId}/members/{userId}",
    "/v1/teams/{teamId}/serviceaccounts",
    "/v1/teams/{teamId}/serviceaccounts/{serviceAccountId}/token",
)
"""Path templates; `{x}` stands for one segment."""

_PATTERN = re.compile("|".join(re.sub(r"\\{\w+\\}", "[^/]+", re.escape(path)) for path in NOT_OFFERED))


def is_published(path: str) -> bool:
    """Return whether `path` is one of these routes. It has no query and no doubled slash at its start."""
    return _PATTERN.fullmatch(path) is not None
