"""The states of consortia, of matchmaking wishes, and of the enterprises that bulletins are matched to."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from services.kit.columns import Json

revision = "cooperation_0002"
down_revision = "cooperation_0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the tables of consortia and enterprises, and the place of wishes among what stands under a plan id."""
    op.create_table(
        "cooperation_consortium",
        sa.Column("key", sa.String(), primary_key=True),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("status", sa.String(), nullable=False),
        sa.Column("covers_partners", sa.Boolean(), nullable=False),
        sa.Column("facts", Json, nullable=True),
        sa.Column("mode", sa.String(), nullable=True),
        sa.Column("share_of", sa.String(), nullable=True),
        sa.Column("own", sa.String(), nullable=False),
        sa.Column("wanted", sa.String(), nullable=False),
        sa.Column("smallest", sa.String(), nullable=False),
        sa.Column("invitations", Json, nullable=False),
        sa.Column("searches", sa.Integer(), nullable=False),
        sa.Column("searched_at", sa.String(), nullable=True),
    )
    op.create_table(
        "cooperation_enterprise",
        sa.Column("key", sa.String(), primary_key=True),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("credit_code", sa.String(), nullable=False),
        sa.Column("status", sa.String(), nullable=False),
        sa.Column("cases", Json, nullable=False),
        sa.Column("told", Json, nullable=False),
        sa.Column("looked_at", sa.String(), nullable=True),
        sa.Column("rounds", sa.Integer(), nullable=False),
    )
    op.add_column("cooperation_plan", sa.Column("wish", Json, nullable=True))


def downgrade() -> None:
    """Drop what `upgrade` created."""
    op.drop_column("cooperation_plan", "wish")
    op.drop_table("cooperation_enterprise")
    op.drop_table("cooperation_consortium")
