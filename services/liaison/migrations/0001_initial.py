"""The table of files."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from services.kit.columns import Json

revision = "liaison_0001"
down_revision = None
branch_labels = ("liaison",)
depends_on = None


def upgrade() -> None:
    op.create_table(
        "liaison_file",
        sa.Column("key", sa.String(), primary_key=True),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("facts", Json, nullable=True),
        sa.Column("notices", Json, nullable=False),
        sa.Column("acknowledged", Json, nullable=False),
        sa.Column("tally", Json, nullable=False),
    )


def downgrade() -> None:
    op.drop_table("liaison_file")
