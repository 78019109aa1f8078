"""What holds for the transition tables of all deciding services."""
