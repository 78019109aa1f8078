"""What is wrong with an input, said so that a person can act on it: all faults at once, with place and remedy."""

from __future__ import annotations

from pydantic import Field

from schemas.envelope import Model


class Fault(Model):
    """One thing wrong with one field of an input."""

    code: str = Field(description="Stable code of the fault, for programs", examples=["missing"])
    pointer: str = Field(description="JSON Pointer (RFC 6901) to the field; empty for the whole", examples=["/amount/currency"])
    zh: str = Field(description="What is wrong and what to do, in Chinese", examples=["缺少必填字段，请补充。"])
    en: str = Field(description="What is wrong and what to do, in English", examples=["A required field is missing; add it."])
