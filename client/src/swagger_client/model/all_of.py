"""The schemas that kinds of storage are composed of, beside their base, as generated clients have them."""

from __future__ import annotations

from typing import Any

from swagger_client.model.datasource_config import DatasourceConfig
from swagger_client.model_utils import Member, ModelNormal, ModelType


def own_part(kind: type[DatasourceConfig], module: str) -> Any:
    """A model, of this module, of the members that this kind of storage has of its own: all but those of every kind."""
    common = {"id", "purpose", "thumb_suffix"}
    own = {name: line for name, line in kind._members.items() if name not in common}
    own["type"] = own.pop("type")  # after the others, and not required, because the base requires it
    members: dict[str, Any] = {"__module__": module}
    for name, line in own.items():
        members[name] = Member(line.wire, line.kind, line.required and name != "type", line.rules)
        members[name].kw_only, members[name].secret = not members[name].required, line.secret
    made = ModelType(f"{kind.__name__}AllOf", (ModelNormal,), members)
    made.__doc__ = f"What a {kind.__name__} has beside the members of every kind of storage."
    return made
