"""The risk monitor: grades loans, adds up exposure, warns, and holds what must not go on."""
