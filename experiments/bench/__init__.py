"""Races of our layers against each other, against other libraries, and against the floor."""
