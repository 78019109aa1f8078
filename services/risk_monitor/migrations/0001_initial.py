"""The risk monitor's state: one row a case, one row a zone, enterprise or project."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from services.kit.columns import Json

revision = "risk_monitor_0001"
down_revision = None
branch_labels = ("risk_monitor",)
depends_on = None


def upgrade() -> None:
    """Create the tables of cases and of subjects."""
    op.create_table(
        "risk_monitor_case",
        sa.Column("key", sa.String(), primary_key=True),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("zone", sa.String(), nullable=False),
        sa.Column("credit_code", sa.String(), nullable=True),
        sa.Column("undecided", sa.Boolean(), nullable=False),
        sa.Column("shortlisted", sa.Boolean(), nullable=False),
        sa.Column("outstanding", sa.String(), nullable=False),
        sa.Column("currency", sa.String(), nullable=False),
        sa.Column("overdue_days", sa.Integer(), nullable=False),
        sa.Column("grade", sa.String(), nullable=False),
        sa.Column("level", sa.String(), nullable=True),
        sa.Column("released_by", Json, nullable=False),
    )
    op.create_table(
        "risk_monitor_subject",
        sa.Column("key", sa.String(), primary_key=True),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("cny", sa.String(), nullable=False),
        sa.Column("usd", sa.String(), nullable=False),
        sa.Column("undecided", Json, nullable=False),
        sa.Column("figures", Json, nullable=False),
        sa.Column("level", sa.String(), nullable=True),
        sa.Column("released_by", Json, nullable=False),
        sa.Column("limit_breached", sa.Boolean(), nullable=False),
    )


def downgrade() -> None:
    """Drop what `upgrade` created."""
    op.drop_table("risk_monitor_subject")
    op.drop_table("risk_monitor_case")
