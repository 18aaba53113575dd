"""Registers code projects with the cloud through the daemon ``coditect-syncd``.

The classes and methods of ``coditect.cloud_project_client``: a tool changes one import. ::

    from coditect_sync_client import CloudProjectClient, ProjectRegistration

    client = CloudProjectClient()
    result = client.register_project(ProjectRegistration(local_uuid, "api", "/home/ada/PROJECTS/api"))
    if result.queued:
        print("it is sent when the cloud can be reached")

    client.resolve_uuid(local_uuid)

Where no daemon runs, a registration goes into the old client's queue file, and the next daemon takes it from there.
"""

from .cli import main
from .client import CloudProjectClient
from .daemon import Daemon
from .errors import (
    BadAnswer,
    Invalid,
    NoAnswer,
    NoDaemon,
    OldQueueError,
    OtherCloud,
    PlaceError,
    Refused,
    SyncError,
)
from .model import CloudProject, ProjectRegistration, SyncResult
from .paths import get_coditect_data_dir, get_machine_id, get_sessions_db_path
from .views import OfflineQueue, UUIDCache

__version__ = "0.1.0"

__all__ = [
    "BadAnswer",
    "CloudProject",
    "CloudProjectClient",
    "Daemon",
    "Invalid",
    "NoAnswer",
    "NoDaemon",
    "OfflineQueue",
    "OldQueueError",
    "OtherCloud",
    "PlaceError",
    "ProjectRegistration",
    "Refused",
    "SyncError",
    "SyncResult",
    "UUIDCache",
    "get_coditect_data_dir",
    "get_machine_id",
    "get_sessions_db_path",
    "main",
]
