"""Database revisions of the screening service."""
