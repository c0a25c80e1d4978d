"""Looking inside trained runs: what their recurrent networks read, remember and let through."""
