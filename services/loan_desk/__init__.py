"""The loan desk: turns the bank's reports into the validated life of a loan."""
