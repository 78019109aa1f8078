"""What the risk monitor decides, without any I/O."""
