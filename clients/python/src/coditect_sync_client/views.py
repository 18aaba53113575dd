"""The old client's queue and cache as views of the daemon's, and of the old files where there is no daemon.

They keep nothing themselves. The daemon decides when something is sent and how long a mapping is believed.
"""

import logging
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any, Dict, List, Optional, Tuple

from . import oldfiles, paths
from .daemon import Daemon, Document
from .errors import BadAnswer, Invalid, NoDaemon, OldQueueError, Refused, SyncError
from .model import on_the_wire, registration_of, stated

logger = logging.getLogger(__name__)

#: The only operation there is.
REGISTER = "register"
#: Where an entry of the daemon's can stand.
_STATES = ("ready", "in_flight", "delayed", "parked", "dead")


class OfflineQueue:
    """What waits to be sent.

    With a ``db_path`` it is that file alone. Else it is the daemon's queue, and the old queue file where no daemon can
    be reached. Numbers below zero are rows of the file, the others entries of the daemon, so that none is taken for
    another.
    """

    def __init__(self, db_path: Optional[Path] = None, daemon: Optional[Daemon] = None) -> None:
        self.db_path = Path(db_path) if db_path is not None else paths.sync_queue_db_path()
        self._daemon = daemon or Daemon() if db_path is None else None

    def enqueue(self, operation: str, payload: Dict[str, Any], max_retries: int = 5) -> int:
        """Adds a registration. Answers its number, 0 where it does not have to wait because the cloud has it so.

        Raises ``Invalid`` for what can never be sent; the old client kept that and never sent anything behind it.
        """
        if operation != REGISTER:
            raise Invalid("the operation is `%.80s`; there is only `%s`" % (operation, REGISTER))
        fields = stated(registration_of(payload))
        if self._daemon is not None:
            try:
                return _enqueue(self._daemon, fields)
            except Invalid:
                raise
            except SyncError as error:
                logger.info("the daemon did not take a registration (%s); it goes into %s", error, self.db_path)
        return -oldfiles.append(self.db_path, operation, [old_payload(fields)], max_retries)[0]

    def get_pending(self, limit: int = 10) -> List[Tuple[int, str, Dict[str, Any]]]:
        """What is to be sent as soon as possible, oldest first, at most ``limit``, each with all its fields."""
        if self._daemon is not None:
            try:
                return _pending(self._daemon, limit)
            except NoDaemon:
                pass
        rows = oldfiles.waiting(self.db_path, limit)
        return [(-number, operation, payload) for number, operation, payload in rows]

    def mark_success(self, queue_id: int) -> None:
        """Removes what somebody else has sent."""
        if queue_id < 0:
            oldfiles.remove(self.db_path, -queue_id)
        elif queue_id > 0 and self._daemon is not None:
            try:
                self._daemon.drop_item(queue_id)
            except Refused as refused:
                # It went out meanwhile, or is going: there is nothing left to remove.
                if refused.code not in ("not_found", "conflict"):
                    raise

    def mark_failed(self, queue_id: int, error: str) -> None:
        """Notes why something could not be sent; the daemon knows that of its own entries, and when to try again."""
        if queue_id < 0:
            oldfiles.note_failure(self.db_path, -queue_id, error)

    def queue_size(self) -> int:
        """How much there is, the dead letters included."""
        return self.sizes()["queue_size"]

    def sizes(self) -> Dict[str, int]:
        """How much there is, and how much of it is to be sent as soon as possible.

        A file that cannot be read hides nothing of the daemon's; ``OldQueueError`` where that is all there is.
        """
        unreadable: Optional[OldQueueError] = None
        size = pending = 0
        try:
            size = pending = oldfiles.count(self.db_path)
        except OldQueueError as error:
            unreadable = error
        counts = self._counts()
        if unreadable is not None:
            if counts is None:
                raise unreadable
            logger.warning("only the daemon's queue is counted: %s", unreadable)
        states = {state: _number(counts or {}, state) for state in _STATES}
        size += sum(states.values())
        pending += states["ready"] + states["in_flight"]
        return {"queue_size": size, "pending": pending}

    def _counts(self) -> Optional[Document]:
        """The daemon's counts; ``None`` where it is not asked or does not answer."""
        if self._daemon is None:
            return None
        try:
            return self._daemon.queue()
        except SyncError as error:
            level = logging.DEBUG if isinstance(error, NoDaemon) else logging.WARNING
            logger.log(level, "the daemon's queue is not counted: %s", error)
            return None


class UUIDCache:
    """The cloud's UUIDs, as the daemon knows them: of its own tenant only, and for as long as it believes them.

    With a ``db_path``, ``set`` and ``invalidate`` also work on that file of the old client, which the daemon does not
    read; without one, on the file that it takes over.
    """

    def __init__(self, db_path: Optional[Path] = None, daemon: Optional[Daemon] = None) -> None:
        self.db_path = Path(db_path) if db_path is not None else paths.sessions_db_path()
        self._daemon = daemon or Daemon()

    def get(self, local_uuid: str) -> Optional[str]:
        """The cloud's UUID of a project; ``None`` where the daemon does not know it, or there is no daemon.

        What stands in the old file is not answered: whose it is and whether it still holds cannot be told.
        """
        try:
            return cloud_uuid_of(self._daemon.resolve(local_uuid, wait=0))
        except SyncError as error:
            logger.debug("no cloud UUID for %s: %s", local_uuid, error)
            return None

    def set(self, local_uuid: str, cloud_uuid: str, tenant_id: str = "", ttl_hours: int = 24) -> None:
        """Notes a mapping in the old client's file. The daemon believes it only where the tenant stands with it, and
        what the cloud told it comes first."""
        hours = max(0, ttl_hours)
        expires_at = (datetime.now(timezone.utc) + timedelta(hours=hours)).isoformat()
        oldfiles.remember(self.db_path, local_uuid, cloud_uuid, tenant_id, expires_at)

    def invalidate(self, local_uuid: str) -> None:
        """Has the daemon ask the cloud again, and takes the mapping out of the old client's file."""
        oldfiles.forget(self.db_path, local_uuid)
        try:
            self._daemon.resolve(local_uuid, refresh=True, wait=0)
        except SyncError as error:
            logger.debug("%s is asked for again later: %s", local_uuid, error)


def cloud_uuid_of(answer: Document) -> str:
    """The cloud's UUID that an answer tells."""
    found = answer.get("cloud_uuid")
    if not isinstance(found, str) or not found:
        raise BadAnswer("the daemon resolved a project and named no cloud UUID")
    return found


def old_payload(fields: Dict[str, Any], force: bool = False) -> Dict[str, Any]:
    """What a row of the old queue says of a registration: all of it, and what is not stated as the old client had it.

    A kind that nobody stated is left out, so that the daemon keeps what it knows. ``given`` says that the caller named
    what is said here, so that it stands as if the daemon had been told: what looking finds out does not take its place.
    ``force`` stands there only where it was asked for: the cloud is to be told even what it has just so.
    """
    try:
        machine = paths.get_machine_id()
    except SyncError as error:
        # The project is on the machine where the queue is, whatever the row says.
        logger.warning("%s", error)
        machine = ""
    return {
        "project_name": "",
        "machine_uuid": machine,
        "primary_language": "",
        "framework": "",
        "content_hash": "",
        "given": True,
        **({"force": True} if force else {}),
        **fields,
    }


def _enqueue(daemon: Daemon, fields: Dict[str, Any]) -> int:
    try:
        result = daemon.register(on_the_wire(fields))
    except Refused as refused:
        if refused.is_final:
            raise Invalid(str(refused)) from refused
        raise
    if not result.get("queued") and not result.get("success"):
        raise Invalid(str(result.get("error") or "the daemon does not register the project"))
    entry = daemon.project(fields["local_project_uuid"]).get("queue_item")
    return _number(entry, "id") if isinstance(entry, dict) else 0


def _pending(daemon: Daemon, limit: int) -> List[Tuple[int, str, Dict[str, Any]]]:
    items = daemon.queue_items("ready", limit)["items"]
    machine = daemon.status().get("machine_uuid", "")
    pending = []
    for item in items:
        try:
            project = daemon.project(item["local_project_uuid"])
        except Refused:
            # Nothing is on record but the entry itself.
            project = item
        payload = {
            "local_project_uuid": item["local_project_uuid"],
            "project_name": item.get("project_name", ""),
            "machine_uuid": machine,
            "root_path": item.get("root_path", ""),
            "primary_language": project.get("primary_language", ""),
            "framework": project.get("framework", ""),
            "content_hash": project.get("content_hash", ""),
            "project_type": project.get("project_type", "standalone"),
        }
        if project.get("parent_project_uuid"):
            payload["parent_project_uuid"] = project["parent_project_uuid"]
        pending.append((_number(item, "id"), REGISTER, payload))
    return pending


def _number(document: Dict[str, Any], key: str) -> int:
    found = document.get(key, 0)
    return found if isinstance(found, int) else 0
