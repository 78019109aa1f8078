"""Alembic environment of all services, and the revisions of the kit's own tables."""
