"""Rules on who refers whom, and where: the id, the referring party, the subject, its places, plan and chain."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from schemas.faults import Fault
from schemas.reference import Directory
from schemas.values import BANK_HQ, COMMERCE_HQ, REFERRAL_ID_PATTERN, SubjectKind, place_of
from services.referral_intake.domain.asked import Asked, Readable

_REFERRAL_ID: Final = re.compile(REFERRAL_ID_PATTERN)


def check_subject(asked: Asked, directory: Directory) -> Iterator[Fault]:
    """Everything that speaks against who refers whom, and where."""
    yield from _check_id(asked)
    yield from _check_source(asked.source, asked.referral)
    yield from _check_kind(asked.referral)
    yield from _check_plan(asked.referral)
    yield from _check_forerunner(asked)
    yield from _check_places(asked, directory)


def _check_id(asked: Asked) -> Iterator[Fault]:
    if _REFERRAL_ID.fullmatch(asked.referral_id) is None:
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


def _check_kind(referral: Readable) -> Iterator[Fault]:
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


def _check_plan(referral: Readable) -> Iterator[Fault]:
    kind = referral.subject_kind
    if kind is SubjectKind.ZONE_PLAN and referral.zone_plan is None:
        yield Fault(
            code="zone_plan_missing",
            pointer="/referral/zone_plan",
            zh="推荐合作区方案时须填写方案编号，请补充。",
            en="A referral of a zone plan names the plan's id; add it.",
        )
    if kind is SubjectKind.ENTERPRISE and referral.zone_plan is not None:
        yield Fault(
            code="zone_plan_unexpected",
            pointer="/referral/zone_plan",
            zh="方案编号只用于推荐合作区方案或方案内的项目；请删除，或改为推荐项目。",
            en="A plan's id goes with the plan itself or a project of its portfolio; remove it or refer the project.",
        )
    if kind is SubjectKind.ZONE_PLAN and referral.chain is not None:
        yield Fault(
            code="chain_unexpected",
            pointer="/referral/chain",
            zh="合作区方案不是供应链上的企业；请删除供应链信息。",
            en="A zone plan is no enterprise of a supply chain; remove the chain.",
        )


def _check_forerunner(asked: Asked) -> Iterator[Fault]:
    if asked.referral.repairs is not None and asked.referral.repairs == asked.referral_id:
        yield Fault(
            code="repairs_itself",
            pointer="/referral/repairs",
            zh="推荐不能修复其自身；请填写此前未获支持的推荐编号，或直接以原编号重新提交被退回的推荐。",
            en="A referral cannot repair itself; name the earlier one that failed, or submit a rejected one again.",
        )


def _check_places(asked: Asked, directory: Directory) -> Iterator[Fault]:
    referral, day = asked.referral, asked.day
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
