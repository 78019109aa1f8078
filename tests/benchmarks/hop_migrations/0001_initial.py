"""The hop's states."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "hop_0001"
down_revision = None
branch_labels = ("hop",)
depends_on = None


def upgrade() -> None:
    op.create_table(
        "hop_scored",
        sa.Column("key", sa.String, primary_key=True),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("score", sa.Integer, nullable=False),
        sa.Column("eligible", sa.Boolean, nullable=False),
        sa.Column("amount", sa.String, nullable=False),
        sa.Column("zone", sa.String, nullable=False),
    )
