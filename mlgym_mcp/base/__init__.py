"""Floor 1: errors, settings, logs and the clock."""
