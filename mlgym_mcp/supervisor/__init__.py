"""Floor 2: the program that runs inside a sandbox (standard library only)."""
