"""The tools, as data."""
