"""Public names and parameters, compared with the client that openapi-generator 5.3.0 generates from the seed.

What only the generated client has must be a difference that the README lists. Our client can have more.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests import generated
from tests.client import pair, surface

pytestmark = pytest.mark.slow  # Java generates the reference client

_HELPERS = "`Endpoint`, `…_endpoint`, functions of `model_utils`"

OF_MODEL_UTILS = [
    *("COERCIBLE_TYPE_PAIRS", "COERCION_INDEX_BY_TYPE", "PRIMITIVE_TYPES", "UPCONVERSION_TYPE_PAIRS"),
    *("allows_single_value_input", "attempt_convert_item", "cached_property", "change_keys_js_to_python"),
    *("check_allowed_values", "check_validations", "composed_model_input_classes", "convert_js_args_to_python_args"),
    *("deserialize_file", "deserialize_model", "deserialize_primitive", "get_allof_instances", "get_anyof_instances"),
    *("get_discarded_args", "get_discriminated_classes", "get_discriminator_class", "get_oneof_instance"),
    *("get_possible_classes", "get_required_type_classes", "get_simple_class", "get_type_error"),
    *("get_valid_classes_phrase", "is_json_validation_enabled", "is_type_nullable", "is_valid_type", "model_to_dict"),
    *("order_response_types", "remove_uncoercible", "type_error_message", "validate_and_convert_types"),
    "validate_get_composed_info",
]
IMPORTING_LATE = ["api_error_response", "datasource_config", "datasource_config_base", "datasource_raw_samples_data"]
IMPORTING_LATE += [f"datasource_config_{name}" for name in ("azure", "gcs", "lightly", "local", "s3")]
IMPORTING_LATE += [f"datasource_processed_until_timestamp_{end}" for end in ("request", "response")]
OPERATIONS = [
    "get_datasource_by_dataset_id",
    "get_datasource_processed_until_timestamp_by_dataset_id",
    "get_list_of_raw_samples_from_datasource_by_dataset_id",
    "update_datasource_by_dataset_id",
    "update_datasource_processed_until_timestamp_by_dataset_id",
    "verify_datasource_by_dataset_id",
]
EXPLAINED = {
    **{f"swagger_client.model_utils.{name}": _HELPERS for name in OF_MODEL_UTILS},
    **{f"swagger_client.model.{name}.lazy_import": _HELPERS for name in IMPORTING_LATE},
    **{f"instance DatasourcesApi.{name}_endpoint": _HELPERS for name in OPERATIONS},
    "swagger_client.api_client.Endpoint": _HELPERS,
    "class cached_property": _HELPERS,
    "class Endpoint": _HELPERS,
    "DatasourceConfigBase by position": "`type` of `DatasourceConfigBase` by position",
    **{
        f"RESTClientObject.{method} by position": "options of `RESTClientObject.GET` and similar"
        for method in ("GET", "HEAD", "OPTIONS", "DELETE", "POST", "PUT", "PATCH")
    },
}

Surface = dict[str, Any]


def _surface(client: Path) -> Surface:
    environ = {**os.environ, "PYTHONPATH": str(client)}
    done = subprocess.run(
        [sys.executable, str(Path(surface.__file__))], capture_output=True, text=True, env=environ, check=False
    )
    assert done.returncode == 0, done.stderr
    result: Surface = json.loads(done.stdout)
    return result


def _lacking(theirs: list[list[str]], ours: list[list[str]]) -> set[str]:
    """Return what a caller can pass only to the first: a parameter by position or by name."""
    given, taken = ([name for name, kind in each if kind == "POSITIONAL_OR_KEYWORD"] for each in (theirs, ours))
    lacking = set() if taken[: len(given)] == given else {"by position"}
    if any(kind == "VAR_KEYWORD" for _, kind in ours):
        return lacking
    names = {name for name, kind in theirs if not kind.startswith("VAR_")} - {name for name, _ in ours}
    return lacking | {f"({name}=)" for name in names}


def _missing(theirs: Surface, ours: Surface) -> set[str]:
    missing = {f"swagger_client.{name}" for name in set(theirs["top"]) - set(ours["top"])}
    for module, names in theirs["modules"].items():
        present = ours["modules"].get(module)
        missing |= {f"module {module}"} if present is None else {f"{module}.{name}" for name in {*names} - {*present}}
    for name, cls in theirs["classes"].items():
        own = ours["classes"].get(name)
        if own is None:
            missing.add(f"class {name}")
            continue
        missing |= {f"class {name}({base})" for base in {*cls["bases"]} - {*own["bases"]}}
        missing |= {f"{name} {what}" for what in _lacking(cls["constructor"], own["constructor"])}
        for attribute, parameters in cls["attributes"].items():
            if attribute not in own["attributes"]:
                missing.add(f"{name}.{attribute}")
            elif parameters is not None:
                lacking = _lacking(parameters, own["attributes"][attribute] or [])
                missing |= {f"{name}.{attribute} {what}" for what in lacking}
    for name, attributes in theirs["instances"].items():
        present = {*ours["instances"][name], *ours["classes"][name]["attributes"]}
        missing |= {f"instance {name}.{attribute}" for attribute in {*attributes} - present}
    return missing


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> tuple[Surface, Surface]:
    return _surface(generated.seed_client(tmp_path_factory)), _surface(pair.OURS)


def test_everything_missing_is_explained(both: tuple[Surface, Surface]) -> None:
    missing = _missing(*both)
    assert missing - EXPLAINED.keys() == set()
    assert EXPLAINED.keys() - missing == set(), "these are there, so there is nothing to explain"
    assert set(EXPLAINED.values()) - pair.documented() == set()


def test_the_comparison_finds_missing_names(both: tuple[Surface, Surface]) -> None:
    """Two programs that find nothing would be equal too."""
    reference, ours = both
    assert len(reference["modules"]) > 25
    assert len(reference["classes"]) > 40
    assert len(reference["instances"]["Configuration"]) > 25
    assert len(_missing(ours, reference)) > 40, "ours has more"
