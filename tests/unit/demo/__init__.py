"""The demo: its scenario, its people, its books."""
