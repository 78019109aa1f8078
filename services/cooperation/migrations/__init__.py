"""Database revisions of the cooperation service."""
