"""What the tasks with long time lags share: drawing, judging, success, and its picture."""
