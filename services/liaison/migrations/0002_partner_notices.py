"""Notices to partners whose mail is on its way."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from services.kit.columns import Json

revision = "liaison_0002"
down_revision = "liaison_0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("liaison_file", sa.Column("partner_notices", Json, nullable=False, server_default="{}"))


def downgrade() -> None:
    op.drop_column("liaison_file", "partner_notices")
