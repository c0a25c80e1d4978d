"""From a task to trained parameters: the step, the loop, and what a run leaves on the disk."""
