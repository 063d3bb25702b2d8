"""Floor 2: the shapes that leave the process."""
