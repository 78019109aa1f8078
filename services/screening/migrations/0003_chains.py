"""Supply chains: one row a chain, and what each case has to do with its own."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from services.kit.columns import Json

revision = "screening_0003"
down_revision = "screening_0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the table of chains; cases from before have none."""
    op.create_table(
        "screening_chain",
        sa.Column("key", sa.String(), primary_key=True),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("chain_id", sa.String(), nullable=False),
        sa.Column("links", Json, nullable=False),
    )
    op.add_column("screening_case", sa.Column("chain", Json, nullable=True))
    op.add_column("screening_case", sa.Column("raised", sa.Boolean(), nullable=False, server_default=sa.false()))


def downgrade() -> None:
    """Take away what `upgrade` added."""
    op.drop_column("screening_case", "raised")
    op.drop_column("screening_case", "chain")
    op.drop_table("screening_chain")
