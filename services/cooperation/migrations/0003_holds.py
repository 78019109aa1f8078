"""Whether a case is on hold, which stops its invitations."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "cooperation_0003"
down_revision = "cooperation_0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the mark; no case that is known yet bears it."""
    op.add_column("cooperation_consortium", sa.Column("held", sa.Boolean(), nullable=False, server_default=sa.false()))


def downgrade() -> None:
    """Drop what `upgrade` added."""
    op.drop_column("cooperation_consortium", "held")
