"""State tables of liaison."""

from __future__ import annotations

from typing import Any

from services.kit.columns import StateRow, json_column


class LiaisonFile(StateRow, table=True):
    """One row a file; see `domain.state.File`."""

    __tablename__ = "liaison_file"

    facts: Any = json_column(nullable=True)
    notices: Any = json_column()
    acknowledged: Any = json_column()
    tally: Any = json_column()
    partner_notices: Any = json_column()
