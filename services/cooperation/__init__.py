"""Cooperation: zone plans, work plans, advice, and how partners share a case."""
