"""Unit tests of liaison."""
