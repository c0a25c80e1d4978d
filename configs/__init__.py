"""One file an experiment: `get_config()` is the default and what differs from it."""
