"""Rules between the fields of a referral and against the directory. Each yields faults; all of them are always asked.

They read a sound `Referral` and, through a `ReferralGlimpse`, the sound part of a broken one alike: a field that can't
be read is None there, and a rule that needs it stays silent, because the schema has already complained about it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import date
from typing import Final

from schemas.directory import BranchEntered, ZoneEntered
from schemas.faults import Fault, bounded
from schemas.reference import Directory
from schemas.referral import Referral
from schemas.referral_glimpse import ReferralGlimpse
from schemas.values import (
    BANK_HQ,
    COMMERCE_HQ,
    REFERRAL_ID_PATTERN,
    CooperationMode,
    FinancingNeed,
    KeyArea,
    SizeClass,
    SubjectKind,
    place_of,
)
from services.referral_intake.domain.size_class import size_class_by_figures

Readable = Referral | ReferralGlimpse

_REFERRAL_ID: Final = re.compile(REFERRAL_ID_PATTERN)
_FOREIGN_NEEDS: Final = frozenset(
    {
        FinancingNeed.FARM_PRODUCE_IMPORT,
        FinancingNeed.KEY_EQUIPMENT_TECHNOLOGY_IMPORT,
        FinancingNeed.EMERGING_MARKET_EXPORT,
        FinancingNeed.INBOUND_INVESTMENT,
        FinancingNeed.OUTBOUND_INVESTMENT,
    }
)
_TRADE_NEEDS: Final = _FOREIGN_NEEDS - {FinancingNeed.INBOUND_INVESTMENT, FinancingNeed.OUTBOUND_INVESTMENT}
_INVESTMENT_NEEDS: Final = _FOREIGN_NEEDS - _TRADE_NEEDS


def check(referral_id: str, source: str, referral: Readable, day: date, directory: Directory) -> tuple[Fault, ...]:
    """Everything that speaks against a referral from this source on this day in China; empty if nothing does."""
    return bounded(
        (
            *_check_id(referral_id),
            *_check_source(source, referral),
            *_check_subject(referral),
            *_check_places(referral, day, directory),
            *_check_size(referral),
            *_check_mode(referral),
            *_check_trade(referral),
            *_check_terms(referral),
        )
    )


def check_broken(
    referral_id: str, source: str, seen: ReferralGlimpse, known: tuple[Fault, ...], day: date, directory: Directory
) -> tuple[Fault, ...]:
    """The faults that the schema found, then those that the rules find in what is still readable."""
    complained = {fault.pointer for fault in known}
    more = (fault for fault in check(referral_id, source, seen, day, directory) if fault.pointer not in complained)
    return bounded((*known, *more))


def entries_used(referral: Referral, day: date, directory: Directory) -> tuple[str, ...]:
    """The versions of directory entries by which a sound referral was checked."""
    entries: tuple[ZoneEntered | BranchEntered | None, ...] = (
        directory.zone(referral.zone, day),
        directory.branch(referral.branch, day),
    )
    return tuple(entry.entry_key for entry in entries if entry is not None)


def _check_id(referral_id: str) -> Iterator[Fault]:
    if _REFERRAL_ID.fullmatch(referral_id) is None:
        yield Fault(
            code="referral_id_form",
            pointer="",
            zh="推荐编号（事件的 subject）格式不对；请用 1 至 64 个字母、数字、点、下划线或连字符，以字母或数字开头。",
            en="The referral id (the event's subject) has the wrong form; use 1 to 64 letters, digits, dots, "
            "underscores or hyphens, beginning with a letter or digit.",
        )


def _check_source(source: str, referral: Readable) -> Iterator[Fault]:
    place = place_of(source)
    if None in (referral.zone, referral.province, referral.branch):
        return
    if place not in (COMMERCE_HQ, BANK_HQ, referral.zone, referral.province, referral.branch):
        yield Fault(
            code="source_not_concerned",
            pointer="",
            zh="推荐方与该合作区无关；请由该省商务主管部门、该合作区、其服务分行或总部提交。",
            en="The referring party has no part in this zone; let its province, the zone, the branch that serves it, "
            "or a headquarters submit.",
        )


def _check_subject(referral: Readable) -> Iterator[Fault]:
    kind = referral.subject_kind
    if kind in (SubjectKind.ENTERPRISE, SubjectKind.PROJECT) and referral.enterprise is None:
        yield Fault(
            code="enterprise_missing",
            pointer="/referral/enterprise",
            zh="推荐企业或项目时须填写企业信息，请补充。",
            en="A referral of an enterprise or a project names the enterprise; add it.",
        )
    if kind is SubjectKind.PROJECT and referral.project is None:
        yield Fault(
            code="project_missing",
            pointer="/referral/project",
            zh="推荐项目时须填写项目信息，请补充。",
            en="A referral of a project describes the project; add it.",
        )
    if kind not in (SubjectKind.PROJECT, None) and referral.project is not None:
        yield Fault(
            code="project_unexpected",
            pointer="/referral/project",
            zh="推荐对象不是项目，却填写了项目信息；请删除，或将推荐对象改为项目。",
            en="The subject is not a project, yet one is described; remove it or make the project the subject.",
        )


def _check_places(referral: Readable, day: date, directory: Directory) -> Iterator[Fault]:
    zone = directory.zone(referral.zone, day) if referral.zone is not None else None
    if referral.zone is not None and zone is None:
        yield Fault(
            code="zone_unknown",
            pointer="/referral/zone",
            zh=f"名录中在 {day} 没有合作区 {referral.zone}；请核对代码。",
            en=f"The directory has no zone {referral.zone} on {day}; check the code.",
        )
    if zone is not None and referral.province not in (None, zone.province):
        yield Fault(
            code="province_not_of_zone",
            pointer="/referral/province",
            zh=f"合作区 {zone.code} 属于省份 {zone.province}，不属于 {referral.province}；请更正。",
            en=f"Zone {zone.code} lies in province {zone.province}, not {referral.province}; correct it.",
        )
    branch = directory.branch(referral.branch, day) if referral.branch is not None else None
    if referral.branch is not None and branch is None:
        yield Fault(
            code="branch_unknown",
            pointer="/referral/branch",
            zh=f"名录中在 {day} 没有分行 {referral.branch}；请核对代码。",
            en=f"The directory has no branch {referral.branch} on {day}; check the code.",
        )
    if branch is not None and zone is not None and zone.province not in branch.provinces:
        yield Fault(
            code="branch_not_of_province",
            pointer="/referral/branch",
            zh=f"分行 {branch.code} 不服务省份 {zone.province}；请改为服务该省的分行。",
            en=f"Branch {branch.code} does not serve province {zone.province}; name one that does.",
        )


def _check_size(referral: Readable) -> Iterator[Fault]:
    enterprise = referral.enterprise
    if enterprise is None or enterprise.industry is None or enterprise.size_class is None:
        return
    size = size_class_by_figures(
        enterprise.industry, enterprise.employees, enterprise.revenue_10k_cny, enterprise.assets_10k_cny
    )
    if size is not None and size is not enterprise.size_class:
        yield Fault(
            code="size_class_contradicted",
            pointer="/referral/enterprise/size_class",
            zh=f"按所填行业和指标应为 {size}，与所填规模 {enterprise.size_class} 不符；请核对规模或指标。",
            en=f"By industry and figures the size class is {size}, not {enterprise.size_class}; check both.",
        )


def _check_mode(referral: Readable) -> Iterator[Fault]:
    size = referral.enterprise.size_class if referral.enterprise is not None else None
    if referral.cooperation_mode is CooperationMode.SME_ON_LENDING and size in (SizeClass.LARGE, SizeClass.MEDIUM):
        yield Fault(
            code="mode_not_for_size",
            pointer="/referral/cooperation_mode",
            zh="转贷款只面向小型和微型企业；请改用其他合作方式。",
            en="On-lending is for small and micro enterprises; propose another mode.",
        )


def _check_trade(referral: Readable) -> Iterator[Fault]:
    abroad = referral.key_area is KeyArea.MARKET_DIVERSIFICATION or referral.need in _FOREIGN_NEEDS
    if abroad and referral.country is None:
        yield Fault(
            code="country_missing",
            pointer="/referral/country",
            zh="该重点领域或融资需求须注明国家，请补充。",
            en="This key area or financing need names the country; add it.",
        )
    if abroad and referral.country == "CN":
        yield Fault(
            code="country_not_foreign",
            pointer="/referral/country",
            zh="此处应填写境外国家或地区，请更正。",
            en="A foreign country belongs here; correct it.",
        )
    goods = referral.key_area is KeyArea.MARKET_DIVERSIFICATION or referral.need in _TRADE_NEEDS
    if goods and referral.need not in _INVESTMENT_NEEDS and referral.goods is None:
        yield Fault(
            code="goods_missing",
            pointer="/referral/goods",
            zh="该重点领域或融资需求须注明商品，请补充。",
            en="This key area or financing need names the goods; add them.",
        )


def _check_terms(referral: Readable) -> Iterator[Fault]:
    amount = referral.amount
    investment = referral.project.total_investment if referral.project is not None else None
    if amount is None or investment is None or amount.currency is not investment.currency:
        return
    if amount.amount > investment.amount:
        yield Fault(
            code="amount_above_investment",
            pointer="/referral/amount/amount",
            zh=f"申请金额 {amount.amount} 超过项目总投资 {investment.amount}；请核对两项金额。",
            en=f"The sum wanted, {amount.amount}, exceeds the project's investment of {investment.amount}; check both.",
        )
