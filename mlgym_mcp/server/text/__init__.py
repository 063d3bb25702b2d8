"""What a model reads of each result: short, and with what to do next."""
