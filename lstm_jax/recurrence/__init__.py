"""Running a cell over time: one door, `unroll`, and the methods behind it."""
