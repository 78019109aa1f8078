"""Consent: whether and with whom an enterprise's data may be shared, on whose word and since when."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, ClassVar, Final

from pydantic import AwareDatetime, Field, JsonValue

from schemas.envelope import Model, Payload
from schemas.values import Day, ShortText, Side


class ConsentScope(StrEnum):
    """With whom the enterprise's data may be shared."""

    COMMERCE = "commerce"
    BANK = "bank"
    PARTNER = "partner"


class Signatory(StrEnum):
    """In which capacity somebody agreed for the enterprise; never a name."""

    LEGAL_REPRESENTATIVE = "legal_representative"
    AUTHORISED_REPRESENTATIVE = "authorised_representative"


CONSENT_EXAMPLE: Final[dict[str, JsonValue]] = {
    "scopes": ["commerce", "bank"],
    "given_by": "legal_representative",
    "given_on": "2020-04-01",
    "evidence": "MZL-SQ-2020-0117",
}

Scopes = Annotated[tuple[ConsentScope, ...], Field(min_length=1, max_length=3)]
_EVIDENCE: Final = Field(
    description="Reference of the signed document in the referrer's files", examples=["MZL-SQ-2020-0117"]
)
_GIVEN_BY: Final = Field(
    default=None,
    description="Capacity in which somebody agreed for the enterprise",
    examples=["legal_representative"],
)


class Consent(Model):
    """The enterprise's agreement that its data are shared, as it comes with a referral."""

    scopes: Scopes = Field(description="With whom the data may be shared", examples=[["commerce", "bank"]])
    given_by: Signatory = Field(
        description="Capacity in which somebody agreed for the enterprise", examples=["legal_representative"]
    )
    given_on: Day = Field(description="Day on which the enterprise agreed", examples=["2020-04-01"])
    evidence: ShortText = _EVIDENCE


# --- inputs -----------------------------------------------------------------------------------------------------------


class ConsentGiven(Payload):
    """The enterprise agreed that its data are shared; recorded by the referring side, also before it refers."""

    TYPE: ClassVar[str] = "referral.consent_given.v1"

    scopes: Scopes = Field(description="With whom the data may be shared", examples=[["commerce", "bank"]])
    given_on: Day = Field(description="Day on which the enterprise agreed", examples=["2020-04-01"])
    given_by: Signatory | None = _GIVEN_BY
    evidence: ShortText = _EVIDENCE


class ConsentRevoked(Payload):
    """The enterprise took its agreement back."""

    TYPE: ClassVar[str] = "referral.consent_revoked.v1"

    scopes: Scopes = Field(description="With whom the data may no longer be shared", examples=[["partner"]])
    revoked_on: Day = Field(description="Day on which the enterprise revoked", examples=["2020-05-06"])
    evidence: ShortText = Field(
        description="Reference of the signed document in the referrer's files", examples=["MZL-CX-2020-0009"]
    )


# --- outputs ----------------------------------------------------------------------------------------------------------


class ConsentRecorded(Payload):
    """What the enterprise's consent covers now, after it was given or revoked."""

    TYPE: ClassVar[str] = "referral.consent_recorded.v1"

    scopes: tuple[ConsentScope, ...] = Field(
        description="With whom the data may be shared from now on; empty if with nobody",
        examples=[["commerce", "bank"]],
    )
    evidence: ShortText = _EVIDENCE
    recorded_at: AwareDatetime = Field(
        description="Time of the report, with offset", examples=["2020-04-01T09:31:00+08:00"]
    )
    day: Day | None = Field(
        default=None, description="Day on which the enterprise agreed or revoked", examples=["2020-04-01"]
    )
    given_by: Signatory | None = _GIVEN_BY
    side: Side | None = Field(
        default=None, description="Side that reported it and whose the referral's id is", examples=["commerce"]
    )
    source: str | None = Field(
        default=None,
        description="CloudEvents source of the reporting party's system",
        examples=["//commerce/15"],
        max_length=200,
    )
