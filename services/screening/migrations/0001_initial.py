"""The state of joint screening: one row a case."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from services.kit.columns import Json

revision = "screening_0001"
down_revision = None
branch_labels = ("screening",)
depends_on = None


def upgrade() -> None:
    """Create the table of cases."""
    op.create_table(
        "screening_case",
        sa.Column("key", sa.String(), primary_key=True),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("status", sa.String(), nullable=False),
        sa.Column("lane", sa.String(), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("opened_at", sa.String(), nullable=False),
        sa.Column("deadline", sa.String(), nullable=False),
        sa.Column("deadline_provisional", sa.Boolean(), nullable=False),
        sa.Column("score", sa.Integer(), nullable=False),
        sa.Column("policy_version", sa.String(), nullable=False),
        sa.Column("key_areas", Json, nullable=False),
        sa.Column("commerce", Json, nullable=True),
        sa.Column("bank", Json, nullable=True),
        sa.Column("holds", Json, nullable=False),
        sa.Column("days_left", sa.Integer(), nullable=True),
        sa.Column("resumed_at", sa.String(), nullable=True),
    )


def downgrade() -> None:
    """Drop what `upgrade` created."""
    op.drop_table("screening_case")
