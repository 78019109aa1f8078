"""Revisions of the hop's own table."""
