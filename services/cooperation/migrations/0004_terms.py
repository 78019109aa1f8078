"""The terms of a case's loan, which are held against what was agreed."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from services.kit.columns import Json

revision = "cooperation_0004"
down_revision = "cooperation_0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the place of the loan; of cases that are known yet none is."""
    op.add_column("cooperation_consortium", sa.Column("loan", Json, nullable=True))


def downgrade() -> None:
    """Drop what `upgrade` added."""
    op.drop_column("cooperation_consortium", "loan")
