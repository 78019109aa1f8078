"""The loan desk's state: one row a case."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "loan_desk_0001"
down_revision = None
branch_labels = ("loan_desk",)
depends_on = None


def upgrade() -> None:
    """Create the table of cases and their loans."""
    op.create_table(
        "loan_desk_case",
        sa.Column("key", sa.String(), primary_key=True),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("expected", sa.Boolean(), nullable=False),
        sa.Column("ruled_out", sa.String(), nullable=True),
        sa.Column("loan_id", sa.String(), nullable=True),
        sa.Column("status", sa.String(), nullable=True),
        sa.Column("mode", sa.String(), nullable=True),
        sa.Column("term_months", sa.Integer(), nullable=False),
        sa.Column("matures_on", sa.String(), nullable=True),
        sa.Column("currency", sa.String(), nullable=True),
        sa.Column("applied", sa.String(), nullable=False),
        sa.Column("approved", sa.String(), nullable=False),
        sa.Column("contracted", sa.String(), nullable=False),
        sa.Column("disbursed", sa.String(), nullable=False),
        sa.Column("repaid", sa.String(), nullable=False),
        sa.Column("written_off", sa.String(), nullable=False),
        sa.Column("overdue_principal", sa.String(), nullable=False),
        sa.Column("overdue_interest", sa.String(), nullable=False),
        sa.Column("overdue_days", sa.Integer(), nullable=False),
        sa.Column("extensions", sa.Integer(), nullable=False),
    )


def downgrade() -> None:
    """Drop what `upgrade` created."""
    op.drop_table("loan_desk_case")
