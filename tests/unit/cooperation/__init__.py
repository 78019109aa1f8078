"""What cooperation decides."""
