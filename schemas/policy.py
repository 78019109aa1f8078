"""Screening policy as the two headquarters agree on it: one proposes a version, the other confirms that very text.

A version is immutable. Its text is the policy file as `kouan policy check` takes it; the digest says which text is
meant, so that nobody can confirm another one than was read. The record key is the version's name.
"""

from __future__ import annotations

from hashlib import sha256
from typing import Annotated, ClassVar, Final

from pydantic import Field, StringConstraints, ValidationInfo, field_validator
from pydantic_core import PydanticCustomError

from schemas.envelope import Payload
from schemas.scoring import PolicyVersion
from schemas.values import Day, PersonId

POLICY_TEXT_LIMIT: Final = 60_000
"""Characters of a policy's text at most: with three bytes for each it still fits into one event."""

PolicyDigest = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
"""SHA-256 of a policy's text in UTF-8, as hexadecimal digits."""

PolicyText = Annotated[str, StringConstraints(min_length=1, max_length=POLICY_TEXT_LIMIT)]
"""A whole policy file."""

_TEXT_EXAMPLE: Final = "version: '2031-01-01'\n"
_VERSION: Final = Field(description="Name of the version; also the record key", examples=["2031-01-01"])


def digest_of(text: str) -> str:
    """The SHA-256 of a policy's text, as it stands in both events and in every score."""
    return sha256(text.encode()).hexdigest()


class PolicyProposed(Payload):
    """A headquarters proposes a policy version. It decides nothing until the other headquarters confirms it."""

    TYPE: ClassVar[str] = "policy.proposed.v1"

    policy_version: PolicyVersion = _VERSION
    effective_from: Day = Field(
        description="First day on which it is to apply (date in China), as its text says; it never applies before the "
        "day after its confirmation",
        examples=["2031-01-01"],
    )
    text: PolicyText = Field(description="The whole policy file (YAML)", examples=[_TEXT_EXAMPLE])
    digest: PolicyDigest = Field(description="SHA-256 of the text in UTF-8", examples=[digest_of(_TEXT_EXAMPLE)])
    proposed_by: PersonId = Field(description="Id of the person who answers for the proposal", examples=["mofcom-01"])

    @field_validator("digest", mode="after")
    @classmethod
    def _is_of_the_text(cls, digest: str, info: ValidationInfo) -> str:
        text = info.data.get("text")
        if text is not None and digest != digest_of(text):
            raise PydanticCustomError(
                "digest_mismatch",
                "The digest is not the SHA-256 of the text; compute it from the text that is sent.",
                {"zh": "摘要不是该文本的 SHA-256，请按所发送的文本计算。"},
            )
        return digest


class PolicyConfirmed(Payload):
    """The other headquarters confirms a proposed version, by the digest of the very text that it read."""

    TYPE: ClassVar[str] = "policy.confirmed.v1"

    policy_version: PolicyVersion = _VERSION
    digest: PolicyDigest = Field(
        description="SHA-256 of the text that is confirmed", examples=[digest_of(_TEXT_EXAMPLE)]
    )
    confirmed_by: PersonId = Field(
        description="Id of the person who answers for the confirmation", examples=["exim-01"]
    )
