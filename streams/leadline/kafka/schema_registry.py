"""Asks a schema registry over HTTP: the six routes of Confluent's that are needed, which others speak too."""

import http.client
import json
import socket
import ssl
import threading
from base64 import b64encode
from contextlib import suppress
from typing import Any
from urllib.parse import quote, unquote, urlsplit

from pydantic import SecretStr

from leadline.errors import LeadlineError
from leadline.foreign_text import shown

MOST_BYTES = 1 << 20
"""Of an answer: a schema that is longer is not read."""
_SILENT_S, _WITHIN_S = 3.0, 5.0
"""So long a registry may be silent, and so long a whole answer may take."""
_CHARS = 300
_TYPE = "application/vnd.schemaregistry.v1+json"
_REDIRECT, _NOT_FOUND, _TOO_MANY, _SERVER = 300, 404, 429, 500
_UNKNOWN = (40401, 40402, 40403)
"""A subject, a version, a schema that a registry does not have."""


class RegistryError(LeadlineError):
    """The registry does not do what it is asked; the message says which registry, and why."""


class RegistryAwayError(RegistryError):
    """It does not answer, or not now."""


class RegistryRefusesError(RegistryError):
    """It does not do that for whoever asks."""


class UnknownError(RegistryError):
    """It does not have what it is asked for."""


class NoRouteError(UnknownError):
    """There is no registry where it is asked."""


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
        """All schemas of a subject that can be used, by id; none where there is no such subject. Raises RegistryError."""
        path = f"/subjects/{quote(subject, '')}/versions"
        try:
            answers = [self._ask("GET", f"{path}/{int(number)}") for number in self._ask("GET", path)]
            return {int(answer["id"]): self._text(answer) for answer in answers if _is_avro(answer)}
        except NoRouteError:
            raise
        except UnknownError:
            return {}
        except (KeyError, TypeError, ValueError):
            raise RegistryError(f"{self.shown} answers otherwise than a schema registry") from None

    def register(self, subject: str, schema: Any) -> int:
        """The id of a schema of a subject, which is registered where it was not. Raises RegistryError: not compatible, not allowed."""
        path, body = f"/subjects/{quote(subject, '')}", {"schema": json.dumps(schema)}
        try:
            answer = self._ask("POST", path, body)
        except NoRouteError:
            raise
        except UnknownError:
            answer = self._ask("POST", f"{path}/versions", body)
        try:
            return int(answer["id"])
        except (KeyError, TypeError, ValueError):
            raise RegistryError(f"{self.shown} answers otherwise than a schema registry") from None

    def takes(self, subject: str, schema: Any) -> bool:
        """Whether a subject has a schema, or takes it as its next one; a subject that is not there takes any. Raises RegistryError."""
        name, body = quote(subject, ""), {"schema": json.dumps(schema)}
        try:
            self._ask("POST", f"/subjects/{name}", body)
        except NoRouteError:
            raise
        except UnknownError:
            pass
        else:
            return True
        try:
            answer = self._ask("POST", f"/compatibility/subjects/{name}/versions/latest", body)
        except UnknownError:
            return True
        return isinstance(answer, dict) and answer.get("is_compatible") is True

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
        try:
            answer = json.loads(said)
        except (ValueError, RecursionError):
            answer = None
        if status == _NOT_FOUND:
            code = answer.get("error_code") if isinstance(answer, dict) else None
            if code in _UNKNOWN:
                raise UnknownError(f"{self.shown} does not know it")
            raise NoRouteError(f"{self.shown} answers with HTTP 404, and not as a schema registry does")
        if status >= _REDIRECT:  # nobody else gets the password
            why = answer.get("message") if isinstance(answer, dict) else None
            raise RegistryRefusesError(f"{self.shown} refuses: HTTP {status} {shown(str(why or ''), _CHARS)}".rstrip())
        return answer

    def _asked(self, method: str, path: str, body: str | None) -> tuple[int, bytes]:
        if self._tls is None:
            connection = http.client.HTTPConnection(self._host, self._port, timeout=_SILENT_S)
        else:
            connection = http.client.HTTPSConnection(self._host, self._port, timeout=_SILENT_S, context=self._tls)
        late = _Late()
        try:
            connection.connect()
            late.begin(connection.sock)
            connection.request(method, self._path + path, body, self._headers)
            response = connection.getresponse()
            said = response.read(MOST_BYTES + 1)
            if late.is_over or (response.length and len(said) <= MOST_BYTES):
                raise http.client.IncompleteRead(said)
            return response.status, said
        finally:
            late.end()
            connection.close()


class _Late:
    """Ends an answer that comes byte by byte."""

    is_over = False

    def begin(self, connection: socket.socket) -> None:
        self._connection = connection
        self._timer = threading.Timer(_WITHIN_S, self._hang_up)
        self._timer.daemon = True
        self._timer.start()

    def end(self) -> None:
        if hasattr(self, "_timer"):
            self._timer.cancel()

    def _hang_up(self) -> None:
        self.is_over = True
        with suppress(OSError):
            self._connection.shutdown(socket.SHUT_RDWR)


def _is_avro(answer: Any) -> bool:
    """Whether records can be read by a schema; an answer that is none passes, to be refused."""
    return not isinstance(answer, dict) or (answer.get("schemaType", "AVRO") == "AVRO" and not answer.get("references"))
