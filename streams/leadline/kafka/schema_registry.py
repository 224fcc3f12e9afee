"""Asks a schema registry over HTTP: the five routes of Confluent's that are needed, which others speak too."""

import http.client
import json
import ssl
from base64 import b64encode
from typing import Any
from urllib.parse import quote, unquote, urlsplit

from pydantic import SecretStr

from leadline.errors import LeadlineError
from leadline.foreign_text import shown

MOST_BYTES = 1 << 20
"""Of an answer: a schema that is longer is not read."""
_TIMEOUT_S = 3.0
_CHARS = 300
_TYPE = "application/vnd.schemaregistry.v1+json"
_REDIRECT, _NOT_FOUND, _TOO_MANY, _SERVER = 300, 404, 429, 500


class RegistryError(LeadlineError):
    """The registry does not do what it is asked; the message says which registry, and why."""


class RegistryAwayError(RegistryError):
    """It does not answer, or not now."""


class RegistryRefusesError(RegistryError):
    """It does not do that for whoever asks."""


class UnknownError(RegistryError):
    """It does not have what it is asked for."""


class SchemaRegistry:
    """One registry. Each question is a connection of its own: few are asked."""

    def __init__(self, url: SecretStr) -> None:
        parts = urlsplit(url.get_secret_value())
        self._host, self._port, self._path = parts.hostname or "", parts.port, parts.path.rstrip("/")
        self._tls = ssl.create_default_context() if parts.scheme == "https" else None
        self.shown = f"{parts.scheme}://{self._host}{f':{self._port}' if self._port else ''}{self._path}"
        self._headers = {"Accept": f"{_TYPE}, application/json", "Content-Type": _TYPE}
        if parts.username is not None:
            said = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
            self._headers["Authorization"] = f"Basic {b64encode(said.encode()).decode()}"

    def schema(self, schema_id: int) -> str:
        """The text of an Avro schema. Raises RegistryError."""
        return self._text(self._ask("GET", f"/schemas/ids/{schema_id}"))

    def versions(self, subject: str) -> dict[int, str]:
        """All schemas of a subject, by id; none where there is no such subject. Raises RegistryError."""
        path = f"/subjects/{quote(subject, '')}/versions"
        try:
            answers = [self._ask("GET", f"{path}/{int(number)}") for number in self._ask("GET", path)]
            return {int(answer["id"]): self._text(answer) for answer in answers}
        except UnknownError:
            return {}
        except (KeyError, TypeError, ValueError):
            raise RegistryError(f"{self.shown} answers otherwise than a schema registry") from None

    def register(self, subject: str, schema: Any) -> int:
        """The id of a schema of a subject, which is registered where it was not. Raises RegistryError: not compatible, not allowed."""
        path, body = f"/subjects/{quote(subject, '')}", {"schema": json.dumps(schema)}
        try:
            answer = self._ask("POST", path, body)
        except UnknownError:
            answer = self._ask("POST", f"{path}/versions", body)
        try:
            return int(answer["id"])
        except (KeyError, TypeError, ValueError):
            raise RegistryError(f"{self.shown} answers otherwise than a schema registry") from None

    def _text(self, answer: Any) -> str:
        if not isinstance(answer, dict) or not isinstance(answer.get("schema"), str):
            raise RegistryError(f"{self.shown} answers otherwise than a schema registry")
        if answer.get("schemaType", "AVRO") != "AVRO":
            raise RegistryError(f"it is {shown(str(answer['schemaType']), 40)}, not Avro")
        if answer.get("references"):
            raise RegistryError("it refers to other schemas: register it whole")
        return str(answer["schema"])

    def _ask(self, method: str, path: str, body: Any = None) -> Any:
        try:
            status, said = self._asked(method, path, None if body is None else json.dumps(body))
        except (OSError, http.client.HTTPException) as error:
            raise RegistryAwayError(f"{self.shown} does not answer ({type(error).__name__})") from None
        if status == _TOO_MANY or status >= _SERVER:
            raise RegistryAwayError(f"{self.shown} does not answer now (HTTP {status})")
        if len(said) > MOST_BYTES:
            raise RegistryError(f"it is longer than {MOST_BYTES} bytes")
        if status == _NOT_FOUND:
            raise UnknownError(f"{self.shown} does not know it")
        try:
            answer = json.loads(said)
        except (ValueError, RecursionError):
            answer = None
        if status >= _REDIRECT:  # nobody else gets the password
            why = answer.get("message") if isinstance(answer, dict) else None
            raise RegistryRefusesError(f"{self.shown} refuses: HTTP {status} {shown(str(why or ''), _CHARS)}".rstrip())
        return answer

    def _asked(self, method: str, path: str, body: str | None) -> tuple[int, bytes]:
        if self._tls is None:
            connection = http.client.HTTPConnection(self._host, self._port, timeout=_TIMEOUT_S)
        else:
            connection = http.client.HTTPSConnection(self._host, self._port, timeout=_TIMEOUT_S, context=self._tls)
        try:
            connection.request(method, self._path + path, body, self._headers)
            response = connection.getresponse()
            return response.status, response.read(MOST_BYTES + 1)
        finally:
            connection.close()
