"""The registry: which versions of which models there are here; `leadline.learning.lineage` says how far each has come."""

import re
from dataclasses import dataclass

from leadline.learning.model_files import ModelFiles


@dataclass(frozen=True, slots=True)
class Registered:
    """One version of a model."""

    model: str
    version: str


class Registry:
    """What is registered, as the model files show it."""

    def __init__(self, files: ModelFiles) -> None:
        self._files = files

    def models(self) -> list[str]:
        """Names of the models, sorted."""
        return self._files.names()

    def versions(self, model: str) -> list[Registered]:
        """The versions of a model, sorted by name."""
        return [Registered(model, version) for version in self._files.versions(model)]

    def find(self, model: str, version: str) -> Registered | None:
        """A version; None where there is none of that name."""
        return next((each for each in self.versions(model) if each.version == version), None)

    def next_version(self, model: str) -> str:
        """``v`` and the number after the highest one of the model; other names do not count."""
        numbers = [re.fullmatch(r"v([0-9]{1,18})", each.version) for each in self.versions(model)]
        return f"v{max((int(number[1]) for number in numbers if number), default=0) + 1}"
