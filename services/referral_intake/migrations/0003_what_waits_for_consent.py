"""What a referral that waits for consent resembles; of one that ended so, neither content nor claims are kept."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from services.kit.columns import Json

revision = "referral_intake_0003"
down_revision = "referral_intake_0002"
branch_labels = None
depends_on = None

_CASES = sa.table(
    "referral_intake_case",
    sa.column("status", sa.String),
    sa.column("revision", sa.Integer),
    sa.column("body", sa.String),
    sa.column("claims", Json),
)


def upgrade() -> None:
    op.add_column("referral_intake_case", sa.Column("alike", Json, nullable=False, server_default="[]"))
    ended = (_CASES.c.status == "closed") & (_CASES.c.revision == 0)
    op.execute(_CASES.update().where(ended).values(body="", claims=[]))


def downgrade() -> None:
    # What was forgotten can't be brought back; the former release does without it.
    op.drop_column("referral_intake_case", "alike")
