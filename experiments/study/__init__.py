"""The variant study: random search over every variant's settings, and what it says."""
