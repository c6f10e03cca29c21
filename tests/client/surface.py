"""Print the public names of a client as JSON: `python surface.py` with one client on the path.

Runs with the generated client and with ours, and imports nothing of this project. Names that a module or class has from
another one are left out.
"""

import importlib
import inspect
import json
import pkgutil
import sys
import warnings
from typing import Any

import swagger_client
from swagger_client.api.datasources_api import DatasourcesApi

COLLECTIONS = ("swagger_client.apis", "swagger_client.models")
"""The packages that exist to collect names of other modules."""


def _of_the_module(value: Any, module: str) -> bool:
    """Return whether a module defines a value: a constant, class or function."""
    if inspect.isclass(value) or inspect.isroutine(value):
        return bool(value.__module__ == module) or module in COLLECTIONS
    return not inspect.ismodule(value) and not type(value).__module__.startswith(("typing", "__future__"))


def _parameters(made: Any) -> list[list[str]]:
    """Return names and kinds of parameters, without `self`."""
    try:
        parameters = inspect.signature(made).parameters.values()
    except (TypeError, ValueError):
        return []
    return [[each.name, each.kind.name] for each in parameters if each.name not in ("self", "_self")]


def _attributes(cls: type) -> dict[str, Any]:
    """Return the public attributes of a class, with the parameters of its methods."""
    own = [base for base in cls.__mro__ if base.__module__.startswith("swagger_client")]
    names = {name for base in own for name in vars(base) if not name.startswith("_")}
    found = {}
    for name in sorted(names):
        value = getattr(cls, name, None)
        found[name] = _parameters(value) if inspect.isroutine(value) else None
    return found


def _instances() -> dict[str, Any]:
    client = swagger_client.ApiClient(swagger_client.Configuration())
    client.last_response = None
    return {
        "Configuration": client.configuration,
        "ApiClient": client,
        "DatasourcesApi": DatasourcesApi(client),
        "ApiException": swagger_client.ApiException(),
        "ApiTypeError": swagger_client.ApiTypeError("text"),
        "ApiValueError": swagger_client.ApiValueError("text"),
        "ApiAttributeError": swagger_client.ApiAttributeError("text"),
        "ApiKeyError": swagger_client.ApiKeyError("text"),
    }


def main() -> None:
    warnings.simplefilter("ignore")
    top = sorted(name for name in vars(swagger_client) if not name.startswith("_"))
    modules: dict[str, Any] = {}
    classes: dict[str, Any] = {}
    for found in pkgutil.walk_packages(swagger_client.__path__, "swagger_client."):
        module = importlib.import_module(found.name)
        names = sorted(name for name in dir(module) if not name.startswith("_") and name != "annotations")
        modules[found.name] = [name for name in names if _of_the_module(getattr(module, name), found.name)]
        for value in list(vars(module).values()):
            if inspect.isclass(value) and value.__module__ == found.name:
                classes[value.__name__] = {
                    "bases": [base.__name__ for base in value.__mro__ if base is not object],
                    "constructor": _parameters(value),
                    "attributes": _attributes(value),
                }
    instances = {
        name: sorted(each for each in vars(instance) if not each.startswith("_"))
        for name, instance in _instances().items()
    }
    result = {"top": top, "modules": modules, "classes": classes, "instances": instances}
    json.dump(result, sys.stdout)


if __name__ == "__main__":
    main()
