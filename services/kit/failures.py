"""What may go wrong beneath a decision, sorted by what has to be done about it."""

from __future__ import annotations


class Transient(Exception):
    """The database or the broker can't do it now and may later: roll back, wait, try again; nothing is skipped."""


class Fenced(Exception):
    """Another worker raised the task's epoch, or the stored position moved: what is in memory is not ours any more."""


class Overtaken(Exception):
    """Something that was taken as new (an id in the inbox, a claim) exists already: look it up and decide again."""


class Fatal(Exception):
    """Going on would lose something, and no retry mends it: the service stops and says what a person has to do."""


class TooManyUnexpected(Exception):
    """More unexpected failures than a minute may have: a bad release must not become mass dead letters."""
