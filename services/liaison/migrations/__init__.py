"""Alembic revisions of this service's own tables."""
