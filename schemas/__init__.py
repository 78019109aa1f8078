"""Contracts: what is said on the topics. Nothing here does I/O."""
