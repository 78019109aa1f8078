"""Supply chains in joint screening: which cases belong together, and which of them keeps the others waiting.

A case says to its chain how it stands; the chain, once a key link of it is blocked, says so to the cases of all its
members, which then go ahead in the queue. Chain and cases tell each other on internal topics; what either makes of it
stands on `screening.events`, a chain's own events under the key `chain:<id>`, which no referral can have.
"""

from __future__ import annotations

from enum import StrEnum
from typing import ClassVar, Final

from pydantic import AwareDatetime, Field

from schemas.envelope import Model, Payload
from schemas.referral import ChainRole
from schemas.values import ChainId, Lane, ReferralId

CHAIN_PREFIX: Final = "chain:"


def chain_key(chain_id: str) -> str:
    """The record key of a chain."""
    return f"{CHAIN_PREFIX}{chain_id}"


class LinkStanding(StrEnum):
    """How a member's case stands."""

    WAITING = "waiting"
    LATE = "late"
    HELD = "held"
    SHORTLISTED = "shortlisted"
    DECLINED = "declined"
    EXPIRED = "expired"
    LEFT = "left"


_CHAIN_ID: Final = Field(description="The chain, as the referrals name it", examples=["MZL-TIMBER-1"])
_MEMBER: Final = Field(description="The member's case: id of its referral", examples=["NMG-2020-000098"])
_CASE: Final = Field(description="The case: id of its referral; also the record key", examples=["NMG-2020-000123"])
_ROLE: Final = Field(description="Where the member stands in the chain", examples=["upstream"])
_KEY_LINK: Final = Field(description="Whether the others stand still without it", examples=[True])


class LinkFact(Payload):
    """What every statement about a link says."""

    chain_id: ChainId = _CHAIN_ID
    referral_id: ReferralId = _MEMBER
    role: ChainRole = _ROLE
    key_link: bool = _KEY_LINK
    standing: LinkStanding = Field(
        description="How its case stands: waiting for opinions, late with them, held, shortlisted, declined, expired; "
        "or left, if it is no longer of this chain",
        examples=["held"],
    )
    replaces: ReferralId | None = Field(
        default=None,
        description="Earlier case that this one repairs, and whose place it takes; absent where there is none",
        examples=["NMG-2020-000042"],
    )


class ScreeningChainLinkTold(LinkFact):
    """A case tells its chain that it joined, stands otherwise than before, or left. Under the chain's key."""

    TYPE: ClassVar[str] = "screening.chain_link_told.v1"

    lane: Lane = Field(description="Lane of the case", examples=["resumption"])
    told_at: AwareDatetime = Field(
        description="Time of what made it stand so, with offset", examples=["2020-04-08T09:00:00+08:00"]
    )


class ScreeningChainLinkRecorded(LinkFact):
    """A chain notes how a member stands. On record under the chain's key."""

    TYPE: ClassVar[str] = "screening.chain_link_recorded.v1"

    since: AwareDatetime = Field(
        description="Time since which it stands so, with offset", examples=["2020-04-08T09:00:00+08:00"]
    )
    late_from: AwareDatetime | None = Field(
        default=None,
        description="When it counts as late, with offset; absent unless it is a key link that waits for opinions",
        examples=["2020-04-09T23:59:59+08:00"],
    )


class BlockedLink(Model):
    """A key link that keeps its chain waiting."""

    referral_id: ReferralId = _MEMBER
    standing: LinkStanding = Field(description="What blocks it", examples=["held"])


class ScreeningChainStateTold(Payload):
    """A chain tells one of its cases that the chain is blocked, or that it no longer is. Under the case's key."""

    TYPE: ClassVar[str] = "screening.chain_state_told.v1"

    chain_id: ChainId = _CHAIN_ID
    referral_id: ReferralId = _CASE
    blocked_by: tuple[BlockedLink, ...] = Field(
        description="Key links that keep the chain waiting, in the order of their ids; empty once none does",
        examples=[[{"referral_id": "NMG-2020-000098", "standing": "held"}]],
    )


class ScreeningChainRaised(Payload):
    """A key link of the case's chain is blocked: the case goes ahead in the queue, behind its lane alone."""

    TYPE: ClassVar[str] = "screening.chain_raised.v1"

    referral_id: ReferralId = _CASE
    chain_id: ChainId = _CHAIN_ID
    blocked_by: tuple[BlockedLink, ...] = Field(
        min_length=1,
        description="Key links that keep the chain waiting, in the order of their ids",
        examples=[[{"referral_id": "NMG-2020-000098", "standing": "held"}]],
    )
    raised_at: AwareDatetime = Field(
        description="Time of what blocked the chain, with offset", examples=["2020-04-08T09:00:00+08:00"]
    )


class ScreeningChainEased(Payload):
    """No key link of the case's chain is blocked any more: the case goes by lane and score again."""

    TYPE: ClassVar[str] = "screening.chain_eased.v1"

    referral_id: ReferralId = _CASE
    chain_id: ChainId = _CHAIN_ID
    eased_at: AwareDatetime = Field(
        description="Time of what unblocked the chain, with offset", examples=["2020-04-16T09:00:00+08:00"]
    )
