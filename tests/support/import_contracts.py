"""The import-linter contract that `.importlinter` is written in: what a room may import, and nothing else.

import-linter's own contracts name what is forbidden; a room that is closed but for two doors would have to list every
package there is, and a new one would slip past the list.
"""

from __future__ import annotations

import sys

from grimp import ImportGraph
from importlinter import Contract, ContractCheck, fields, output
from importlinter.domain import helpers

OURS = ("schemas", "topics", "services", "tests")


class MayImportOnly(Contract):
    """Modules under `rooms` import the standard library, their own room, and what `allowed` names with all below it.

    `rooms` may hold wildcards (`services.*.domain`); `except_rooms` are left out. Other people's packages are free
    unless `libraries` is given: then only those it names (`none` for none at all) may be imported.
    """

    type_name = "may_import_only"

    rooms = fields.ListField(subfield=fields.ModuleExpressionField())
    except_rooms = fields.ListField(subfield=fields.StringField(), required=False, default=[])
    allowed = fields.ListField(subfield=fields.StringField(), required=False, default=[])
    libraries = fields.ListField(subfield=fields.StringField(), required=False, default=None)

    def check(self, graph: ImportGraph, verbose: bool) -> ContractCheck:
        """Collect every import that leaves a room by none of its doors."""
        rooms = {
            module.name
            for expression in self.rooms
            for module in helpers.module_expression_to_modules(graph, expression, as_packages=False)
        }
        broken = [
            (importer, imported, graph.get_import_details(importer=importer, imported=imported))
            for room in sorted(rooms - set(self.except_rooms))
            for importer in sorted({room} | graph.find_descendants(room))
            for imported in sorted(graph.find_modules_directly_imported_by(importer))
            if not self._may(room, imported)
        ]
        # A contract that holds over nothing has lost its subject, by a renamed folder for instance.
        return ContractCheck(kept=bool(rooms) and not broken, metadata={"broken": broken, "rooms": rooms})

    def render_broken_contract(self, check: ContractCheck) -> None:
        """Say which line of which module imports what."""
        if not check.metadata["rooms"]:
            output.print_error("No module matches `rooms`.", bold=False)
        for importer, imported, details in check.metadata["broken"]:
            lines = ", ".join(str(detail["line_number"]) for detail in details)
            output.print_error(f"{importer} (l. {lines}) imports {imported}", bold=False)

    def _may(self, room: str, imported: str) -> bool:
        top = imported.partition(".")[0]
        if top in OURS:
            return any(_within(imported, allowed) for allowed in (room, *self.allowed))
        return top in sys.stdlib_module_names or self.libraries is None or top in self.libraries


def _within(module: str, package: str) -> bool:
    return module == package or module.startswith(package + ".")
