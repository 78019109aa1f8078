"""Create the state table of referral intake."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from services.kit.columns import Json

revision = "referral_intake_0001"
down_revision = None
branch_labels = ("referral_intake",)
depends_on = None


def upgrade() -> None:
    op.create_table(
        "referral_intake_case",
        sa.Column("key", sa.String(), primary_key=True),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("status", sa.String(), nullable=False),
        sa.Column("side", sa.String(), nullable=False),
        sa.Column("source", sa.String(), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("body", sa.String(), nullable=False),
        sa.Column("duplicate_of", sa.String(), nullable=True),
        sa.Column("claims", Json, nullable=False),
        sa.Column("consent", Json, nullable=False),
    )


def downgrade() -> None:
    op.drop_table("referral_intake_case")
