"""Migrations of the tables that the risk monitor owns."""
