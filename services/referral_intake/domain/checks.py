"""All rules that a referral has to pass. Each yields faults, and all of them are always asked."""

from __future__ import annotations

from datetime import date

from schemas.directory import BranchEntered, ZoneEntered
from schemas.faults import Fault, bounded
from schemas.reference import Directory
from schemas.referral import Referral
from services.referral_intake.domain.asked import Asked
from services.referral_intake.domain.checks_subject import check_subject
from services.referral_intake.domain.checks_terms import check_terms
from services.referral_intake.domain.outlook import Outlook


def check(asked: Asked, outlook: Outlook) -> tuple[Fault, ...]:
    """Everything that speaks against a referral; empty if nothing does."""
    return bounded((*check_subject(asked, outlook.directory), *check_terms(asked, outlook.limits)))


def check_broken(asked: Asked, known: tuple[Fault, ...], outlook: Outlook) -> tuple[Fault, ...]:
    """The faults that the schema found, then those that the rules find in what is still readable."""
    complained = {fault.pointer for fault in known}
    more = (fault for fault in check(asked, outlook) if fault.pointer not in complained)
    return bounded((*known, *more))


def entries_used(referral: Referral, day: date, directory: Directory) -> tuple[str, ...]:
    """The versions of directory entries by which a sound referral was checked."""
    entries: tuple[ZoneEntered | BranchEntered | None, ...] = (
        directory.zone(referral.zone, day),
        directory.branch(referral.branch, day),
    )
    return tuple(entry.entry_key for entry in entries if entry is not None)
