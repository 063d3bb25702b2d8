"""What a request can fail with; the host maps each code through a closed table of its own."""


class Fault(Exception):
    """A request that cannot be done. `code` is not_found, bad_path, bad_request or failed."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
