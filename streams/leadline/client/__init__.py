"""Leadline from a program: ask and await predictions, tell outcomes, and read what comes of them as typed records.

``Client`` is for asyncio, ``SyncClient`` the same for everybody else. Of the package only this needs aiokafka, fastavro and pydantic.
`leadline.client.faust` is for a Faust app of your own.
"""

from leadline.client.asking import RefusedError
from leadline.client.client import Client
from leadline.client.opened import ClosedError
from leadline.client.reading import NOW, ORIGIN, Received, Records
from leadline.client.sync import SyncClient, SyncRecords

__all__ = ["NOW", "ORIGIN", "Client", "ClosedError", "Received", "Records", "RefusedError", "SyncClient", "SyncRecords"]
