"""Floor 3: sandbox backends and the host end of the supervisor link."""
