"""The states of plans and of questions to the bank."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from services.kit.columns import Json

revision = "cooperation_0001"
down_revision = None
branch_labels = ("cooperation",)
depends_on = None


def upgrade() -> None:
    """Create the tables of plans and of advice."""
    op.create_table(
        "cooperation_plan",
        sa.Column("key", sa.String(), primary_key=True),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("zone_plan", Json, nullable=True),
        sa.Column("work_plan", Json, nullable=True),
    )
    op.create_table(
        "cooperation_advice",
        sa.Column("key", sa.String(), primary_key=True),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("status", sa.String(), nullable=False),
        sa.Column("zone", sa.String(), nullable=False),
        sa.Column("routed_to", sa.String(), nullable=False),
        sa.Column("round", sa.Integer(), nullable=False),
        sa.Column("remind_at", sa.String(), nullable=False),
        sa.Column("deadline", sa.String(), nullable=False),
        sa.Column("reminded", sa.Boolean(), nullable=False),
        sa.Column("closes_at", sa.String(), nullable=True),
    )


def downgrade() -> None:
    """Drop what `upgrade` created."""
    op.drop_table("cooperation_advice")
    op.drop_table("cooperation_plan")
