"""What the loan desk decides."""
