"""What the parts of the gateway share while it runs."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

from services.gateway.parties import Keys
from services.gateway.settings import GatewaySettings
from services.kit.database import Database
from topics.definition import Catalogue


@dataclass(frozen=True, slots=True)
class State:
    """Made once by `app`; `database` is the front's own connection, `stopping` is set when streams have to end."""

    settings: GatewaySettings
    catalogue: Catalogue
    database: Database
    keys: Keys
    stopping: asyncio.Event = field(default_factory=asyncio.Event)
