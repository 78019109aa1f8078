"""Revisions of the ledger's own table."""
