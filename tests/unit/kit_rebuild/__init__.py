"""How a record topic is folded and how databases are compared."""
