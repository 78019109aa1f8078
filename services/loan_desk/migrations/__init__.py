"""Migrations of the tables that the loan desk owns."""
