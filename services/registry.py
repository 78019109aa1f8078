"""Which deciding services there are and where each is composed. Imported lazily: one process runs one service."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from services.kit.door import Service

SERVICES: dict[str, str] = {
    "referral_intake": "services.referral_intake.service:build",
    "screening": "services.screening.service:build",
    "cooperation": "services.cooperation.service:build",
    "loan_desk": "services.loan_desk.service:build",
    "risk_monitor": "services.risk_monitor.service:build",
    "liaison": "services.liaison.service:build",
}
"""Service name → `module:factory`, in the order in which a case meets them."""


class UnknownServiceError(LookupError):
    """There is no service of this name."""

    def __init__(self, name: str) -> None:
        super().__init__(f"no service {name!r}; there are: {', '.join(SERVICES)}")


def build(name: str) -> Service:
    """Compose the service of this name from its settings in the environment.

    Raises:
        UnknownServiceError: no such service.
    """
    if name not in SERVICES:
        raise UnknownServiceError(name)
    module, factory = SERVICES[name].split(":")
    return cast("Service", getattr(import_module(module), factory)())
