"""The runtime that every deciding service stands on. It knows no service."""
