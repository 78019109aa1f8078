"""What the risk monitor decides."""
