"""The error of a record that cannot be used."""


class UnreadableError(Exception):
    """A record that cannot be used: ``reason`` is a short constant, ``detail`` is for a person."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason
        self.detail = detail[:300]  # it may name what a hostile record calls a field
