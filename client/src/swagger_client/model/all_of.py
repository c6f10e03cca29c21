"""The schemas that kinds of storage are composed of, beside their base, as generated clients have them."""

from __future__ import annotations

from typing import Any

from swagger_client.model.datasource_config import DatasourceConfig
from swagger_client.model_utils import Member, ModelNormal, ModelType


def own_part(kind: type[DatasourceConfig]) -> Any:
    """A model of the members that this kind of storage has of its own: all but those of every kind."""
    common = {"id", "purpose", "thumb_suffix"}
    members: dict[str, Any] = {}
    for name, line in kind._members.items():
        if name not in common:
            members[name] = Member(line.wire, line.kind, line.required, line.rules)
            members[name].secret = line.secret
    made = ModelType(f"{kind.__name__}AllOf", (ModelNormal,), members)
    made.__doc__ = f"What a {kind.__name__} has beside the members of every kind of storage."
    return made
