"""The rules of cooperation: pure, without I/O or clock."""
