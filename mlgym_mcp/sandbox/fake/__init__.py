"""A backend in memory, for tests of everything above the sandbox."""
