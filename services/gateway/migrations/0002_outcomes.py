"""The tables of the feed, of who may see what in it, and of webhooks."""

from __future__ import annotations

import secrets

import sqlalchemy as sa
from alembic import op

revision = "gateway_0002"
down_revision = "gateway_0001"
branch_labels = None
depends_on = None

_NUMBERED = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    _feed()
    _known()
    _webhooks()


def _feed() -> None:
    head = op.create_table(
        "gateway_head",
        sa.Column("name", sa.String(), primary_key=True),
        sa.Column("last_seq", sa.BigInteger(), nullable=False),
        sa.Column("floor_seq", sa.BigInteger(), nullable=False),
    )
    op.bulk_insert(head, [{"name": secrets.token_hex(4), "last_seq": 0, "floor_seq": 0}])
    op.create_table(
        "gateway_feed",
        sa.Column("entry", _NUMBERED, primary_key=True, autoincrement=True),
        sa.Column("seq", sa.BigInteger(), nullable=True, unique=True),
        sa.Column("source", sa.String(), nullable=False),
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("type", sa.String(), nullable=False),
        sa.Column("subject", sa.String(), nullable=False),
        sa.Column("time", sa.String(), nullable=False),
        sa.Column("topic", sa.String(), nullable=False),
        sa.Column("topic_partition", sa.Integer(), nullable=False),
        sa.Column("topic_offset", sa.BigInteger(), nullable=False),
        sa.Column("case_id", sa.String(), nullable=True),
        sa.Column("taken_ms", sa.BigInteger(), nullable=False),
        sa.Column("event", sa.String(), nullable=False),
    )
    waiting = sa.text("seq IS NULL")
    op.create_index("gateway_feed_waiting", "gateway_feed", ["subject"], sqlite_where=waiting, postgresql_where=waiting)
    op.create_index("gateway_feed_case", "gateway_feed", ["case_id", "seq"])
    op.create_index("gateway_feed_taken", "gateway_feed", ["taken_ms"])
    op.create_table(
        "gateway_audience",
        sa.Column("unit", sa.String(), primary_key=True),
        sa.Column("seq", sa.BigInteger(), primary_key=True),
    )
    op.create_index("gateway_audience_seq", "gateway_audience", ["seq"])


def _known() -> None:
    op.create_table(
        "gateway_case",
        sa.Column("case_id", sa.String(), primary_key=True),
        sa.Column("referrer", sa.String(), nullable=False),
        sa.Column("zone", sa.String(), nullable=False),
        sa.Column("province", sa.String(), nullable=False),
        sa.Column("branch", sa.String(), nullable=False),
    )
    op.create_table(
        "gateway_unit",
        sa.Column("kind", sa.String(), primary_key=True),
        sa.Column("code", sa.String(), primary_key=True),
        sa.Column("valid_from", sa.String(), primary_key=True),
        sa.Column("valid_to", sa.String(), nullable=True),
        sa.Column("provinces", sa.String(), nullable=False),
    )


def _webhooks() -> None:
    op.create_table(
        "gateway_webhook",
        sa.Column("webhook_id", sa.String(), primary_key=True),
        sa.Column("source", sa.String(), nullable=False),
        sa.Column("url", sa.String(), nullable=False),
        sa.Column("types", sa.String(), nullable=False),
        sa.Column("secret_check", sa.String(), nullable=False),
        sa.Column("created_ms", sa.BigInteger(), nullable=False),
        sa.Column("after_seq", sa.BigInteger(), nullable=False),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("failing_since_ms", sa.BigInteger(), nullable=True),
        sa.Column("next_attempt_ms", sa.BigInteger(), nullable=False),
        sa.Column("disabled_ms", sa.BigInteger(), nullable=True),
        sa.Column("trouble", sa.String(), nullable=False),
    )
    op.create_table(
        "gateway_replay",
        sa.Column("replay", _NUMBERED, primary_key=True, autoincrement=True),
        sa.Column("webhook_id", sa.String(), nullable=False),
        sa.Column("after_seq", sa.BigInteger(), nullable=False),
        sa.Column("to_seq", sa.BigInteger(), nullable=False),
    )
    op.create_index("gateway_replay_webhook", "gateway_replay", ["webhook_id"])
    op.create_table(
        "gateway_attempt",
        sa.Column("attempt", _NUMBERED, primary_key=True, autoincrement=True),
        sa.Column("webhook_id", sa.String(), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("replayed", sa.Boolean(), nullable=False),
        sa.Column("at_ms", sa.BigInteger(), nullable=False),
        sa.Column("took_ms", sa.BigInteger(), nullable=False),
        sa.Column("status", sa.Integer(), nullable=True),
        sa.Column("trouble", sa.String(), nullable=False),
    )
    op.create_index("gateway_attempt_webhook", "gateway_attempt", ["webhook_id", "seq"])
    op.create_index("gateway_attempt_at", "gateway_attempt", ["at_ms"])


def downgrade() -> None:
    for table in (
        "gateway_attempt",
        "gateway_replay",
        "gateway_webhook",
        "gateway_unit",
        "gateway_case",
        "gateway_audience",
        "gateway_feed",
        "gateway_head",
    ):
        op.drop_table(table)
