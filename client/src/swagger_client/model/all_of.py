"""The schemas of single datasource types without the common part, in the form of the generated client."""

from __future__ import annotations

from typing import Any

from swagger_client.model.datasource_config import DatasourceConfig
from swagger_client.model_utils import Member, ModelNormal, ModelType


def own_part(config: type[DatasourceConfig], module: str) -> Any:
    """Return a model of the given module with the members that only this type of datasource has, and `type`."""
    common = {"id", "purpose", "thumb_suffix"}
    own = {name: member for name, member in config._members.items() if name not in common}
    own["type"] = own.pop("type")  # the last one, and optional, because the common part requires it
    members: dict[str, Any] = {"__module__": module}
    for name, member in own.items():
        required = member.required and name != "type"
        members[name] = Member(member.json_name, member.value_type, required, member.rules)
        members[name].kw_only, members[name].secret = not required, member.secret
    model = ModelType(f"{config.__name__}AllOf", (ModelNormal,), members)
    model.__doc__ = f"The members of a {config.__name__} that other types of datasource do not have."
    return model
