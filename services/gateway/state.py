"""What the parts of the gateway share while it runs."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

from services.gateway.limits import Limits
from services.gateway.parties import Keys
from services.gateway.publishing import Publishing
from services.gateway.settings import GatewaySettings
from topics.definition import Catalogue


@dataclass(frozen=True, slots=True)
class State:
    """Made once by `app`; `stopping` is set when streams have to end."""

    settings: GatewaySettings
    catalogue: Catalogue
    keys: Keys
    limits: Limits
    publishing: Publishing
    stopping: asyncio.Event = field(default_factory=asyncio.Event)
