"""Settings of the notifier: one TOML file that says who hears of incidents."""

import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, SecretStr, ValidationError, model_validator

from leadline.settings.files import read_file
from leadline.settings.values import SettingsError, explain

_MOST_BYTES = 262_144


class Target(BaseModel):
    """One place that hears of incidents.

    ``kind``: ``alertmanager`` (its API v2; ``url`` is its address, such as http://alertmanager:9093), or ``apprise`` (an address of the
    library apprise, such as slack://, pagerduty:// or mailto://). ``url_env``: the environment variable that holds the address, for those
    with a secret in them. ``severities`` and ``models``: only these; no models: all. ``early``: incidents too that may yet be withdrawn.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(pattern=r"^[A-Za-z0-9_-]{1,50}$")
    kind: Literal["alertmanager", "apprise"]
    url: SecretStr | None = None
    url_env: str | None = None
    severities: list[Literal["warning", "critical"]] = ["warning", "critical"]
    models: list[str] = []
    early: bool = True

    @model_validator(mode="after")
    def _one_url(self) -> Self:
        if (self.url is None) == (self.url_env is None):
            raise ValueError("say either url or url_env")
        return self

    def address(self, environment: Mapping[str, str]) -> str:
        """Where it is; raises SettingsError where the variable that holds it is not set."""
        if self.url is not None:
            return self.url.get_secret_value()
        if not environment.get(self.url_env or ""):
            raise SettingsError(f"{self.url_env} is not set: it is to hold the address of the target {self.name}")
        return environment[self.url_env or ""]


def _unique(targets: Any) -> Any:
    names = [each.get("name") for each in targets if isinstance(each, dict)] if isinstance(targets, list) else []
    twice = sorted({str(name) for name in names if names.count(name) > 1})
    if twice:
        raise ValueError(f"two targets are called {', '.join(twice)}: each keeps its place in the topic by its name")
    return targets


class NotifySettings(BaseModel):
    """Who hears of incidents."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    targets: Annotated[list[Target], BeforeValidator(_unique), Field(min_length=1)]


def load_notify_settings(path: Path) -> NotifySettings:
    """The targets in a TOML file, each with an address; raises SettingsError that names the file and what is wrong, and no address."""
    try:
        found = NotifySettings.model_validate(tomllib.loads(read_file(path, _MOST_BYTES).decode()))
    except OSError as error:
        raise SettingsError(f"{path}: cannot be read: {error.strerror}") from None
    except ValidationError as error:
        raise SettingsError(f"{path}: {explain(error)}") from None
    except (ValueError, RecursionError) as error:
        raise SettingsError(f"{path}: not valid TOML: {error}") from None
    for target in found.targets:
        target.address(os.environ)
    return found
