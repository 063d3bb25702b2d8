"""The base of every shape that leaves the process."""

from pydantic import BaseModel, ConfigDict


class Frozen(BaseModel):
    """An immutable record; an unknown key is an error, and NaN never crosses."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)
