"""Which event types there are: all modules of this package, imported so that their payload classes are registered."""

from __future__ import annotations

from functools import cache
from importlib import import_module
from pkgutil import iter_modules


@cache
def load_contracts() -> None:
    """Import every module of `schemas`; after that, `envelope.registered_types` is complete."""
    package = import_module("schemas")
    for module in iter_modules(package.__path__, "schemas."):
        import_module(module.name)
