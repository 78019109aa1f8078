"""Policy versions that both headquarters agreed on over the topics, beside those that are released as files.

What follows from the events is the same in whatever order they are read and however often. A version is a name with
one text; a side stands behind a text by proposing it or by confirming it, and when both do, the text is agreed on. It
applies from the day that it says, and at the earliest from the day in China after the later side's event: so workers
that read the topics a moment apart, with a batch between them, still score every referral by the same version.

Where a name was given to several texts, one of them may apply: the released file of that name, or else the text that
was agreed on first, or else the one that was proposed first (by event time, then event id).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from enum import StrEnum
from typing import Any, Final

from schemas.envelope import Event
from schemas.policy import PolicyConfirmed, PolicyProposed
from schemas.reference import china_date
from schemas.values import Side, side_of
from services.screening.policy import Policies, Policy, compile_policy, version_of
from services.screening.policy_files import FileFault, Written

Said = tuple[datetime, str]
"""Time and id of an event: what was said first is less."""


class Standing(StrEnum):
    """How far a text has come."""

    RELEASED = "released"
    AGREED = "agreed"
    PROPOSED = "proposed"
    OUTDONE = "outdone"
    FAULTY = "faulty"
    UNKNOWN = "unknown"


UNUSABLE: Final = frozenset({Standing.FAULTY, Standing.OUTDONE})
"""Texts that will never be applied as they are."""


@dataclass(slots=True)
class _Text:
    """One text under one name; `said` is the first event of each side that stands behind it."""

    version: str
    digest: str
    said: dict[Side, Said] = field(default_factory=dict)
    proposed: Said | None = None
    proposed_by: str = ""
    text: str = ""
    policy: Policy | None = None
    faults: tuple[FileFault, ...] = ()

    @property
    def agreed(self) -> Said | None:
        """When the second side stood behind it, if it can be applied at all."""
        return max(self.said.values()) if len(self.said) == len(Side) and self.policy is not None else None

    @property
    def applies_from(self) -> date | None:
        """The first day on which it applies, once it is agreed on."""
        if self.agreed is None or self.policy is None:
            return None
        return max(self.policy.effective_from, china_date(self.agreed[0]) + timedelta(days=1))


@dataclass(frozen=True, slots=True)
class TextStanding:
    """What `kouan policy status` says of one text. `outdone_by` is the digest of the text that has its name; `text` is
    empty where only its confirmation was read.
    """

    version: str
    digest: str
    standing: Standing
    sides: tuple[Side, ...]
    proposed_by: str
    effective_from: date | None
    applies_from: date | None
    faults: tuple[FileFault, ...]
    outdone_by: str | None
    text: str


class PolicyBook:
    """The released versions and what the policy topics say, folded; `policies` is what applies."""

    def __init__(self, released: Policies) -> None:
        self._released = released
        self._texts: dict[tuple[str, str], _Text] = {}
        self.policies = released

    def learn(self, event: Event[Any]) -> TextStanding | None:
        """Take in one event of a policy topic; how its text stands now. None for events of other kinds."""
        data, side = event.data, side_of(event.source)
        if side is None or not isinstance(data, PolicyProposed | PolicyConfirmed):
            return None
        text = self._texts.setdefault((data.policy_version, data.digest), _Text(data.policy_version, data.digest))
        said = (event.time, event.id)
        text.said[side] = min(said, text.said.get(side, said))
        if isinstance(data, PolicyProposed):
            self._take_proposal(text, data, said)
        applying = sorted((one for one in self._with_names() if one.agreed), key=_precedence)
        self.policies = self._released.with_agreed(
            [(one.applies_from, one.policy) for one in applying if one.applies_from and one.policy]
        )
        return self._standing(text)

    def standings(self) -> tuple[TextStanding, ...]:
        """Every text that was ever proposed or confirmed, by name, what was proposed first before the rest."""
        order = sorted(self._texts.values(), key=lambda one: (one.version, min(one.said.values())))
        return tuple(self._standing(text) for text in order)

    def _take_proposal(self, text: _Text, proposal: PolicyProposed, said: Said) -> None:
        if text.proposed is None or said < text.proposed:
            text.proposed, text.proposed_by = said, proposal.proposed_by
            text.text = proposal.text
            text.policy, text.faults = read_proposal(proposal)

    def _with_names(self) -> Iterator[_Text]:
        """Of each name the text that has it, faulty and released ones left out."""
        names: dict[str, list[_Text]] = {}
        for text in self._texts.values():
            if text.policy is not None and text.version not in self._released.versions:
                names.setdefault(text.version, []).append(text)
        for texts in names.values():
            yield min(texts, key=_precedence)

    def _standing(self, text: _Text) -> TextStanding:
        holder = self._holder_of(text.version)
        if text.version in self._released.versions and holder == text.digest:
            standing = Standing.RELEASED
        elif text.faults:
            standing = Standing.FAULTY
        elif holder not in (text.digest, None):
            standing = Standing.OUTDONE
        elif text.policy is None:
            standing = Standing.UNKNOWN
        else:
            standing = Standing.PROPOSED if text.agreed is None else Standing.AGREED
        return TextStanding(
            version=text.version,
            digest=text.digest,
            standing=standing,
            sides=tuple(sorted(text.said)),
            proposed_by=text.proposed_by,
            effective_from=text.policy.effective_from if text.policy else None,
            applies_from=text.applies_from if standing is Standing.AGREED else None,
            faults=text.faults,
            outdone_by=holder if standing is Standing.OUTDONE else None,
            text=text.text,
        )

    def _holder_of(self, version: str) -> str | None:
        """The digest of the text that has the name; None where no text that could be applied was told of it."""
        if version in self._released.versions:
            return self._released.version(version).digest
        return next((one.digest for one in self._with_names() if one.version == version), None)


def read_proposal(proposal: PolicyProposed) -> tuple[Policy | None, tuple[FileFault, ...]]:
    """The compiled policy of a proposal, or None with all that keeps it from being applied."""
    written = Written(f"{proposal.policy_version}.yaml", proposal.text.encode())
    file = version_of(written)
    faults = list(file.faults)
    if file.text is not None and file.text.effective_from != proposal.effective_from:
        faults.append(
            written.fault(
                "effective_from_differs",
                ("effective_from",),
                f"事件写明自 {proposal.effective_from} 起生效，与文本不符；请使两者一致。",
                f"the event says that it is effective from {proposal.effective_from}; make the two agree.",
            )
        )
    if faults or file.text is None:
        return None, tuple(faults)
    return compile_policy(file.text, written.digest), ()


def _precedence(text: _Text) -> tuple[bool, Said]:
    said = text.agreed or text.proposed
    assert said is not None, "only a proposal brings a text that can be compiled"
    return text.agreed is None, said
