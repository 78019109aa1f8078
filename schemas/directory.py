"""The directory: who and what takes part, in versions by date.

An entry is told again, whole, whenever something about it changes; what it says holds from `valid_from` on, until the
entry's next version begins or `valid_to` has passed. The record key is `<kind>/<code>@<valid_from>`, so that every
version stays on the topic; the same key told again corrects that version.
"""

from __future__ import annotations

from datetime import date
from enum import StrEnum
from typing import Annotated, ClassVar, Self

from pydantic import Field, StringConstraints, model_validator
from pydantic_core import PydanticCustomError

from schemas.envelope import Payload
from schemas.values import BranchCode, CooperationMode, CountryCode, PartnerCode, PersonId, ProvinceCode, Side, ZoneCode

EntryName = Annotated[str, StringConstraints(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f]+$")]
"""A name on one line: no control characters, because names travel into mail headers."""

EmailAddress = Annotated[
    str,
    StringConstraints(
        max_length=254,
        pattern=r"^[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@[A-Za-z0-9](?:[A-Za-z0-9.-]{0,251}[A-Za-z0-9])?$",
    ),
]
"""A plain ASCII mailbox: one address, without display name, comment or quotes."""


class ZoneKind(StrEnum):
    """What a cooperation zone is."""

    BORDER = "border"
    CROSS_BORDER = "cross_border"


class PersonRole(StrEnum):
    """For which unit of its side a liaison person stands."""

    HEADQUARTERS = "headquarters"
    DEPARTMENT = "department"
    ZONE = "zone"
    BRANCH = "branch"


class PartnerKind(StrEnum):
    """What kind of institution a partner is."""

    COMMERCIAL_BANK = "commercial_bank"
    INSURER = "insurer"
    GUARANTEE_FUND = "guarantee_fund"


class Language(StrEnum):
    """Languages in which a person can be written to, as BCP 47 tags."""

    CHINESE = "zh-CN"
    ENGLISH = "en"


class Entry(Payload):
    """What all directory entries have in common."""

    KIND: ClassVar[str]

    valid_from: date = Field(
        description="First day on which this version of the entry holds (date in China)", examples=["2020-01-01"]
    )
    valid_to: date | None = Field(
        default=None,
        description="Last day on which it holds (date in China); absent: until the next version",
        examples=["2026-12-31"],
    )
    sample: bool = Field(
        default=False,
        description="True where the entry is sample data, to be replaced by the operator before real use",
        examples=[True],
    )

    @property
    def entry_code(self) -> str:
        """The code of the entry among its kind."""
        raise NotImplementedError

    @property
    def entry_key(self) -> str:
        """Key of the record, and the name by which decisions cite this version."""
        return f"{self.KIND}/{self.entry_code}@{self.valid_from.isoformat()}"

    @model_validator(mode="after")
    def _period_runs_forward(self) -> Self:
        if self.valid_to is not None and self.valid_to < self.valid_from:
            raise PydanticCustomError(
                "period_backwards",
                "valid_to lies before valid_from; correct one of the two dates.",
                {"zh": "valid_to 早于 valid_from，请更正其中一个日期。"},
            )
        return self


class NamedEntry(Entry):
    """An entry of somebody or something that has a name."""

    name_zh: EntryName = Field(description="Name in Chinese", examples=["满洲里边境经济合作区"])
    name_en: EntryName = Field(description="Name in English", examples=["Manzhouli Border Economic Cooperation Zone"])


class ZoneEntered(NamedEntry):
    """A border or cross-border economic cooperation zone. Entered by the commerce side's headquarters."""

    TYPE = "directory.zone_entered.v1"
    KIND = "zone"

    code: ZoneCode = Field(description="Code of the zone", examples=["manzhouli"])
    kind: ZoneKind = Field(description="Border zone or cross-border zone", examples=["border"])
    province: ProvinceCode = Field(description="Province of the zone (GB/T 2260, two digits)", examples=["15"])
    neighbours: tuple[CountryCode, ...] = Field(
        description="Countries on the other side of the border (ISO 3166 alpha-2)",
        min_length=1,
        max_length=5,
        examples=[["RU"]],
    )
    exists_from: date | None = Field(
        default=None,
        description="Day of approval (date in China), where it is certain; before it the zone is not there",
        examples=["2024-03-19"],
    )

    @property
    def entry_code(self) -> str:
        return self.code


class DepartmentEntered(NamedEntry):
    """A provincial commerce department. Entered by the commerce side's headquarters."""

    TYPE = "directory.department_entered.v1"
    KIND = "department"

    province: ProvinceCode = Field(
        description="Its province (GB/T 2260, two digits), which is its code too", examples=["15"]
    )

    @property
    def entry_code(self) -> str:
        return self.province


class BranchEntered(NamedEntry):
    """A branch of the bank with the provinces it serves. Entered by the bank side's headquarters."""

    TYPE = "directory.branch_entered.v1"
    KIND = "branch"

    code: BranchCode = Field(description="Code of the branch", examples=["exim-nmg"])
    provinces: tuple[ProvinceCode, ...] = Field(
        description="Provinces it serves (GB/T 2260, two digits); a province may have several branches",
        min_length=1,
        max_length=40,
        examples=[["15"]],
    )

    @property
    def entry_code(self) -> str:
        return self.code


class PersonEntered(NamedEntry):
    """A named liaison person of one side. Entered by the headquarters of that side."""

    TYPE = "directory.person_entered.v1"
    KIND = "person"

    code: PersonId = Field(description="Id of the person, kept through changes of post", examples=["liaison-manzhouli"])
    side: Side = Field(description="Side the person belongs to", examples=["commerce"])
    role: PersonRole = Field(description="Kind of unit the person stands for", examples=["zone"])
    province: ProvinceCode | None = Field(
        default=None, description="The province, where role is department (GB/T 2260, two digits)", examples=["15"]
    )
    zone: ZoneCode | None = Field(default=None, description="The zone, where role is zone", examples=["manzhouli"])
    branch: BranchCode | None = Field(
        default=None, description="The branch, where role is branch", examples=["exim-nmg"]
    )
    email: EmailAddress = Field(description="Address for notices", examples=["manzhouli@liaison.example"])
    languages: tuple[Language, ...] = Field(
        default=(Language.CHINESE,),
        description="Languages the person reads, the preferred one first (BCP 47)",
        min_length=1,
        max_length=5,
        examples=[["zh-CN", "en"]],
    )

    @property
    def entry_code(self) -> str:
        return self.code

    @model_validator(mode="after")
    def _unit_fits_role(self) -> Self:
        units = {PersonRole.DEPARTMENT: "province", PersonRole.ZONE: "zone", PersonRole.BRANCH: "branch"}
        given = {name for name in units.values() if getattr(self, name) is not None}
        wanted = {units[self.role]} if self.role in units else set()
        if given != wanted:
            named, asked = ", ".join(sorted(given)) or "-", ", ".join(wanted) or "-"
            raise PydanticCustomError(
                "unit_not_of_role",
                "A person of role {role} names exactly: {wanted}; given: {given}. Correct role or unit.",
                {
                    "role": self.role.value,
                    "wanted": asked,
                    "given": named,
                    "zh": f"角色为 {self.role.value} 的联系人只应填写：{asked}；实际填写：{named}。请更正。",
                },
            )
        if (self.role is PersonRole.BRANCH) != (self.side is Side.BANK) and self.role is not PersonRole.HEADQUARTERS:
            raise PydanticCustomError(
                "role_not_of_side",
                "Role {role} is not one of the side {side}: branches are the bank's, departments and zones commerce's.",
                {
                    "role": self.role.value,
                    "side": self.side.value,
                    "zh": f"{self.side.value} 没有 {self.role.value} 角色：分行属于银行侧，其余属于商务侧。请更正。",
                },
            )
        return self


class PartnerEntered(NamedEntry):
    """A commercial bank, insurer or guarantee fund that may join a loan. Entered by the bank side's headquarters."""

    TYPE = "directory.partner_entered.v1"
    KIND = "partner"

    code: PartnerCode = Field(description="Code of the partner", examples=["frontier-guarantee"])
    kind: PartnerKind = Field(description="Kind of institution", examples=["guarantee_fund"])
    modes: tuple[CooperationMode, ...] = Field(
        description="Ways of cooperation the partner takes part in",
        min_length=1,
        max_length=6,
        examples=[["bank_guarantee"]],
    )
    provinces: tuple[ProvinceCode, ...] = Field(
        default=(),
        description="Provinces it works in (GB/T 2260, two digits); empty: everywhere",
        max_length=40,
        examples=[["15", "23"]],
    )
    email: EmailAddress | None = Field(
        default=None, description="Address for invitations", examples=["desk@guarantee.example"]
    )

    @property
    def entry_code(self) -> str:
        return self.code


class AbsenceEntered(Entry):
    """A person is away, and a deputy of the same side stands in. Entered by the headquarters of that side.

    While it lasts the person gives no opinion and checks none; the deputy may, and names for whom. A later absence of
    the person replaces an earlier one from its first day on; to end one early, enter it again under the same first day.
    """

    TYPE = "directory.absence_entered.v1"
    KIND = "absence"

    code: PersonId = Field(description="Id of the person who is away", examples=["exim-nmg-01"])
    side: Side = Field(description="Side the person belongs to", examples=["bank"])
    deputy: PersonId = Field(description="Id of the person who stands in", examples=["exim-nmg-02"])
    valid_to: date = Field(description="Last day of the absence (date in China)", examples=["2020-05-15"])

    @property
    def entry_code(self) -> str:
        return self.code

    @model_validator(mode="after")
    def _somebody_else_stands_in(self) -> Self:
        if self.deputy == self.code:
            raise PydanticCustomError(
                "own_deputy",
                "A person cannot stand in for themselves; name another person of the side as deputy.",
                {"zh": "代理人不能是本人，请指定本方另一人。"},
            )
        return self


DirectoryEntry = ZoneEntered | DepartmentEntered | BranchEntered | PersonEntered | PartnerEntered | AbsenceEntered
