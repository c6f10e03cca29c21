"""The client has no import cycles, even through the `__init__` of a package, which import-linter does not see."""

from __future__ import annotations

import graphlib

import grimp
import pytest


@pytest.mark.parametrize("package", ["headwater_client", "swagger_client"])
def test_there_is_no_import_cycle(package: str) -> None:
    graph = grimp.build_graph(package, cache_dir=None)
    imports = {module: graph.find_modules_directly_imported_by(module) for module in graph.modules}
    assert len(imports) > 10
    graphlib.TopologicalSorter(imports).prepare()  # raises CycleError
