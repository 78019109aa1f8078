"""Until when consent is awaited, and the cases that a referral is still to be compared with."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from services.kit.columns import Json

revision = "referral_intake_0002"
down_revision = "referral_intake_0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("referral_intake_case", sa.Column("until", sa.String(), nullable=True))
    op.add_column("referral_intake_case", sa.Column("resembles", Json, nullable=False, server_default="[]"))


def downgrade() -> None:
    op.drop_column("referral_intake_case", "resembles")
    op.drop_column("referral_intake_case", "until")
