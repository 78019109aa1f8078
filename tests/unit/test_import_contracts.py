"""The import contract catches what it is there for: checked on small graphs made by hand."""

from __future__ import annotations

import pytest
from grimp import ImportGraph

from tests.support.import_contracts import MayImportOnly


def graph_of(*imports: tuple[str, str]) -> ImportGraph:
    graph = ImportGraph()
    for name in ("services", "services.desk", "services.desk.domain", "services.desk.domain.rules"):
        graph.add_module(name)
    for importer, imported in imports:
        graph.add_import(importer=importer, imported=imported, line_number=3, line_contents="import it")
    return graph


def broken(graph: ImportGraph, rooms: str = "services.*.domain") -> list[tuple[str, str]] | None:
    options = {"rooms": [rooms], "allowed": ["schemas", "services.kit.door"], "libraries": ["none"]}
    check = MayImportOnly("a contract", {"root_packages": ["services"]}, options).check(graph, verbose=False)
    return None if check.kept else [(importer, imported) for importer, imported, _ in check.metadata["broken"]]


def test_a_domain_that_uses_its_own_doors_keeps_the_contract() -> None:
    rules = "services.desk.domain.rules"
    allowed = ("schemas.loan", "services.kit.door", "decimal", "services.desk.domain")
    assert broken(graph_of(*[(rules, imported) for imported in allowed])) is None


@pytest.mark.parametrize(
    "imported",
    ["services.kit", "services.kit.doorway", "services.desk.store", "services.other.domain", "topics", "sqlmodel"],
)
def test_a_domain_that_leaves_by_any_other_way_breaks_it(imported: str) -> None:
    assert broken(graph_of(("services.desk.domain.rules", imported))) == [("services.desk.domain.rules", imported)]


def test_a_contract_that_no_module_matches_is_broken_rather_than_empty() -> None:
    assert broken(graph_of(), rooms="services.*.kernel") == []
