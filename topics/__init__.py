"""The catalogue of topics: where it is said, by whom, to whom."""
