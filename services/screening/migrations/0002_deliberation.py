"""What the state of a case needs for checkers, reminders, extensions, conferences and forerunners."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from services.kit.columns import Json

revision = "screening_0002"
down_revision = "screening_0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the columns; cases that are open already keep the deadlines of the lane that they have now."""
    op.add_column("screening_case", sa.Column("pace", sa.String(), nullable=False, server_default="ordinary"))
    op.execute("UPDATE screening_case SET pace = lane")
    op.add_column("screening_case", sa.Column("remind_at", sa.String(), nullable=True))
    op.add_column("screening_case", sa.Column("grace_until", sa.String(), nullable=True))
    op.add_column("screening_case", sa.Column("extended", sa.Boolean(), nullable=False, server_default=sa.false()))
    for name in ("commerce_draft", "bank_draft", "conference", "asked"):
        op.add_column("screening_case", sa.Column(name, Json, nullable=True))


def downgrade() -> None:
    """Take away what `upgrade` added."""
    for name in ("asked", "conference", "bank_draft", "commerce_draft", "extended", "grace_until", "remind_at", "pace"):
        op.drop_column("screening_case", name)
