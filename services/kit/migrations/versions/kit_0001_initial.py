"""The kit's tables: tasks, positions, inbox, outbox, deadlines, effects, parked inputs, claims."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "kit_0001"
down_revision = None
branch_labels = ("kit",)
depends_on = None

_Serial = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "kit_task",
        sa.Column("aggregate", sa.String, primary_key=True),
        sa.Column("partition", sa.Integer, primary_key=True),
        sa.Column("epoch", sa.Integer, nullable=False),
    )
    op.create_table(
        "kit_position",
        sa.Column("topic", sa.String, primary_key=True),
        sa.Column("partition", sa.Integer, primary_key=True),
        sa.Column("next_offset", sa.BigInteger, nullable=False),
        sa.Column("topic_id", sa.String, nullable=False),
    )
    op.create_table(
        "kit_inbox",
        sa.Column("source", sa.String, primary_key=True),
        sa.Column("id", sa.String, primary_key=True),
        sa.Column("digest", sa.BigInteger, nullable=False),
        sa.Column("outcome", sa.Integer, nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "kit_outbox",
        sa.Column("seq", _Serial, primary_key=True, autoincrement=True),
        sa.Column("aggregate", sa.String, nullable=False),
        sa.Column("partition", sa.Integer, nullable=False),
        sa.Column("topic", sa.String, nullable=False),
        sa.Column("target", sa.Integer, nullable=False),
        sa.Column("records", sa.LargeBinary, nullable=False),
    )
    op.create_table(
        "kit_deadline",
        sa.Column("aggregate", sa.String, primary_key=True),
        sa.Column("key", sa.String, primary_key=True),
        sa.Column("name", sa.String, primary_key=True),
        sa.Column("partition", sa.Integer, nullable=False),
        sa.Column("due_ms", sa.BigInteger, nullable=False),
    )
    op.create_index("kit_deadline_due", "kit_deadline", ["aggregate", "partition", "due_ms"])
    op.create_table(
        "kit_effect",
        sa.Column("aggregate", sa.String, primary_key=True),
        sa.Column("name", sa.String, primary_key=True),
        sa.Column("id", sa.String, primary_key=True),
        sa.Column("partition", sa.Integer, nullable=False),
        sa.Column("key", sa.String, nullable=False),
        sa.Column("event_id", sa.String, nullable=False),
        sa.Column("payload", sa.String, nullable=False),
        sa.Column("correlation", sa.String, nullable=False),
        sa.Column("traceparent", sa.String, nullable=False),
        sa.Column("time_ms", sa.BigInteger, nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("next_ms", sa.BigInteger, nullable=False),
    )
    op.create_index("kit_effect_next", "kit_effect", ["aggregate", "partition", "next_ms"])
    op.create_table(
        "kit_parked",
        sa.Column("topic", sa.String, primary_key=True),
        sa.Column("partition", sa.Integer, primary_key=True),
        sa.Column("record_offset", sa.BigInteger, primary_key=True),
        sa.Column("aggregate", sa.String, nullable=False),
        sa.Column("key", sa.String, nullable=False),
        sa.Column("since_ms", sa.BigInteger, nullable=False),
        sa.Column("reason", sa.String, nullable=False),
        sa.Column("record", sa.LargeBinary, nullable=False),
    )
    op.create_index("kit_parked_key", "kit_parked", ["aggregate", "partition", "key"])
    op.create_table(
        "kit_claim",
        sa.Column("aggregate", sa.String, primary_key=True),
        sa.Column("claim", sa.String, primary_key=True),
        sa.Column("key", sa.String, nullable=False),
    )
