"""Floor 9: parse, call, print."""
