"""What the loan desk decides, without any I/O."""
