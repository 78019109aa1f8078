"""Documents as references: where one lies and what it must be there, never its bytes.

Who may open it is decided where it lies. A reader holds what was fetched against `sha256` before using it.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Final

from pydantic import Field, JsonValue, StringConstraints

from schemas.envelope import Model
from schemas.values import Sha256, unit

DocumentUri = Annotated[
    str,
    StringConstraints(
        pattern=r"^(https://[A-Za-z0-9.-]+(:[0-9]{1,5})?(/[^\s?#]*)?|urn:[A-Za-z0-9][A-Za-z0-9-]{1,31}:[^\s?#]+)$",
        max_length=500,
    ),
]
"""An `https` or `urn` address without user, query or fragment: events are kept for ever and must not carry a key."""

MediaType = Annotated[str, StringConstraints(pattern=r"^[a-z]+/[a-z0-9][a-z0-9.+-]*$", max_length=100)]
"""A media type without parameters, in lower case, for example `application/pdf`."""


class DocumentKind(StrEnum):
    """What a document is."""

    BUSINESS_LICENCE = "business_licence"
    FINANCIAL_STATEMENTS = "financial_statements"
    FEASIBILITY_STUDY = "feasibility_study"
    PROJECT_APPROVAL = "project_approval"
    ENVIRONMENTAL_APPROVAL = "environmental_approval"
    LAND_USE = "land_use"
    TRADE_CONTRACT = "trade_contract"
    OUTBOUND_APPROVAL = "outbound_approval"
    CONSENT = "consent"
    PLAN = "plan"
    OTHER = "other"


DOCUMENT_EXAMPLE: Final[dict[str, JsonValue]] = {
    "kind": "feasibility_study",
    "uri": "https://files.example.com/manzhouli/2020/0117.pdf",
    "sha256": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
    "media_type": "application/pdf",
    "size_bytes": 482133,
}


class Document(Model):
    """One document: its kind, where it lies and what it must be there."""

    kind: DocumentKind = Field(description="What the document is", examples=["feasibility_study"])
    uri: DocumentUri = Field(
        description="Where it lies: https or urn, without user, query or fragment",
        examples=["https://files.example.com/manzhouli/2020/0117.pdf"],
    )
    sha256: Sha256 = Field(
        description="SHA-256 of its bytes, in lower-case hexadecimal",
        examples=["9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"],
    )
    media_type: MediaType = Field(description="Media type without parameters", examples=["application/pdf"])
    size_bytes: Annotated[int, Field(ge=1, le=1_000_000_000_000, strict=True)] = Field(
        description="Size", examples=[482133], json_schema_extra=unit("bytes")
    )
