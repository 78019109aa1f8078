"""Migrations of the tables that referral intake owns."""
