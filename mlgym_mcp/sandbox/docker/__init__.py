"""The Docker engine (and Podman's compatible socket): the only place that uses its SDK."""
