"""Registers projects and answers what they are called in the cloud, through the daemon.

The decisions that the old client took for itself are the daemon's: when to send, in which order, for which tenant, how
long an answer is believed. What is left is to ask in time, and to put a registration where the daemon finds it when
none answers. No method raises because of the daemon, the cloud or the disk.
"""

import logging
import time
from pathlib import Path
from typing import Any, Callable, Dict, List, Optional, TypeVar

from . import oldfiles, paths
from .configured import DEFAULT_API_URL, Configuration
from .daemon import DEFAULT_TIMEOUT, Daemon, Document, cloud_of
from .errors import BadAnswer, Invalid, NoAnswer, NoDaemon, OldQueueError, OtherCloud, Refused, SyncError
from .expected import expected
from .model import ProjectRegistration, SyncResult, is_utf8, on_the_wire, stated, uuid_text
from .views import REGISTER, OfflineQueue, UUIDCache, cloud_uuid_of, old_payload

logger = logging.getLogger(__name__)

#: How long the cloud is waited for by default, in seconds.
DEFAULT_WAIT = 10.0
#: After so long it is asked whether waiting still makes sense, in seconds.
_SLICE = 1.0
#: So long, at most, a daemon is given to find out its tenant, in seconds.
_SETTLING = 2.0
#: The first and the longest pause between two looks at what became of a registration.
_PAUSES = (0.05, 0.5)
#: Most projects in one request to the daemon.
_BATCH = 200
#: What to do about a daemon that cannot be asked.
_HINTS = {
    NoDaemon: "start one with `coditect-sync service start`, or run `coditect-syncd`",
    NoAnswer: "`coditect-sync doctor` says what is wrong with it",
    BadAnswer: "check CODITECT_SYNC_SOCKET, and the versions of the daemon and of this package",
}

T = TypeVar("T")


class CloudProjectClient:
    """Client for cloud project registration and sync, by way of the daemon.

    ``api_url`` and ``auth_token`` are not used to speak to a cloud: the daemon has its own configuration. Where one of
    them is given, here or in a ``config_path`` (its ``tenant_id`` too), and the daemon registers with another cloud or
    for another tenant, or for one that cannot be told, nothing is sent and the result says so.

    ``wait`` is how long the cloud is waited for, ``timeout`` how long the daemon may be silent; ``socket`` is where it
    listens, by default the one it has for this user.
    """

    def __init__(
        self,
        api_url: Optional[str] = None,
        auth_token: Optional[str] = None,
        config_path: Optional[Path] = None,
        *,
        socket: Optional[paths.AnyPath] = None,
        wait: float = DEFAULT_WAIT,
        timeout: float = DEFAULT_TIMEOUT,
    ) -> None:
        self.daemon = Daemon(socket, timeout=timeout)
        self.queue = OfflineQueue(daemon=self.daemon)
        self.cache = UUIDCache(daemon=self.daemon)
        self._machine_uuid: Optional[str] = None
        self._wait = wait
        self._warned = False
        configured = Configuration(config_path)
        if configured.broken:
            logger.warning("%s", configured.broken)
        self.api_url = api_url or configured.text_or("api_url", DEFAULT_API_URL)
        self.auth_token = auth_token or configured.text_or("auth_token", None)
        self._expected = expected(api_url, auth_token, configured if config_path is not None else None)

    @property
    def machine_uuid(self) -> str:
        """This machine's UUID.

        What is assigned is given back and changes nothing else: projects are registered on the machine they are on.
        """
        return self._machine_uuid or paths.get_machine_id()

    @machine_uuid.setter
    def machine_uuid(self, machine_uuid: str) -> None:
        self._machine_uuid = machine_uuid

    def register_project(self, project: ProjectRegistration, force: bool = False) -> SyncResult:
        """Registers a project with the cloud.

        The result is a success when the cloud has it, ``queued`` when it waits on disk: with the daemon, or in the old
        queue file until there is one. ``force`` sends it even if the cloud has it just so.
        """
        try:
            fields = stated(project)
        except Invalid as invalid:
            return SyncResult.failed(invalid)
        return self._register([fields], force)[fields["local_project_uuid"]]

    def sync_projects(self, projects: List[ProjectRegistration]) -> Dict[str, SyncResult]:
        """Registers several projects. Each has a result, under the UUID as it was given."""
        results: Dict[str, SyncResult] = {}
        given: Dict[str, List[str]] = {}
        newest: Dict[str, Dict[str, Any]] = {}
        for project in projects:
            try:
                fields = stated(project)
            except Invalid as invalid:
                results[project.local_project_uuid] = SyncResult.failed(invalid)
                continue
            local = fields["local_project_uuid"]
            given.setdefault(local, []).append(project.local_project_uuid)
            # The last one of a project counts, as it would if they were sent one after the other.
            newest.pop(local, None)
            newest[local] = fields
        for local, result in self._register(list(newest.values()), False).items():
            for name in given[local]:
                results[name] = result
        return results

    def resolve_uuid(self, local_uuid: str, use_cache: bool = True) -> Optional[str]:
        """The cloud's UUID of a project; ``None`` where it is not registered, or where nobody could be asked.

        ``client.daemon.resolve`` tells the two apart.
        """
        return self._or_none(lambda: self._resolve(use_cache, local_uuid=uuid_text(local_uuid, "local_uuid")))

    def resolve_path(self, path: paths.AnyPath, use_cache: bool = True) -> Optional[str]:
        """The cloud's UUID of the innermost project that holds a path."""
        return self._or_none(lambda: self._resolve(use_cache, path=path))

    def get_registration_status(self, cloud_uuid: str) -> Optional[Dict[str, Any]]:
        """What the cloud says of a registration, in its own words, on whichever machine of the tenant the project is.

        ``None`` where it knows none, or where nobody could be asked; ``client.daemon.registration`` tells the two apart.
        """
        return self._or_none(lambda: self._registration(uuid_text(cloud_uuid, "cloud_uuid")))

    def process_queue(self, batch_size: int = 10) -> int:
        """Has the daemon send what waits, now, and waits for it. Answers how many projects the cloud took.

        All that waits is sent; ``batch_size`` is read for the sake of who gives it.
        """
        if batch_size <= 0:
            return 0

        def flush() -> int:
            deadline = time.monotonic() + self._wait
            self._checked()
            delivered = self.daemon.flush(_left(deadline)).get("delivered")
            return delivered if isinstance(delivered, int) else 0

        return self._or_none(flush) or 0

    def get_queue_status(self) -> Dict[str, Any]:
        """How much waits, and how much of that is to be sent as soon as possible."""
        return self._or_none(self.queue.sizes) or {"queue_size": 0, "pending": 0}

    def _register(self, projects: List[Dict[str, Any]], force: bool) -> Dict[str, SyncResult]:
        results: Dict[str, SyncResult] = {}
        try:
            deadline = time.monotonic() + self._wait
            # A cloud that is known to be out of reach is not waited for; what the daemon answers is durable.
            if _why_waiting(self._checked()):
                deadline = 0.0
            for begin in range(0, len(projects), _BATCH):
                batch = projects[begin : begin + _BATCH]
                results.update(self._send(batch, force, min(_SLICE, _left(deadline))))
            self._await(results, deadline)
        except OtherCloud as other:
            return {project["local_project_uuid"]: SyncResult.failed(other) for project in projects}
        except SyncError as error:
            left = [project for project in projects if project["local_project_uuid"] not in results]
            results.update(self._keep(left, force, error))
        return results

    def _send(self, projects: List[Dict[str, Any]], force: bool, wait: float) -> Dict[str, SyncResult]:
        """Has the daemon register projects; one that it refuses for good does not take the others with it."""
        try:
            answer = self.daemon.sync([on_the_wire(project) for project in projects], force, wait)
        except Refused as refused:
            if not refused.is_final:
                raise
            if len(projects) == 1:
                return {projects[0]["local_project_uuid"]: SyncResult.failed(refused)}
            half = len(projects) // 2
            first = self._send(projects[:half], force, wait)
            return {**first, **self._send(projects[half:], force, wait)}
        told = answer.get("results")
        if not isinstance(told, dict):
            raise BadAnswer("the daemon's answer has no results")
        results = {}
        lost = []
        for project in projects:
            local = project["local_project_uuid"]
            result = _result_of(told.get(local))
            if result is not None:
                results[local] = result
            else:
                lost.append(project)
        if lost:
            results.update(self._keep(lost, force, BadAnswer("the daemon's answer does not say what became of it")))
        return results

    def _keep(self, projects: List[Dict[str, Any]], force: bool, why: SyncError) -> Dict[str, SyncResult]:
        """Puts registrations into the old queue file, from which the next daemon takes them."""
        results = {}
        fit = []
        for project in projects:
            if is_utf8(project["root_path"]):
                fit.append(project)
            else:
                text = "%s; its path is not UTF-8, so it cannot be kept in %s" % (why, self.queue.db_path)
                results[project["local_project_uuid"]] = SyncResult.failed(text)
        try:
            # What is kept goes to the cloud of the daemon that comes, and for its tenant.
            self._expected.check_configured()
            if fit:
                rows = [old_payload(project, force) for project in fit]
                oldfiles.append(self.queue.db_path, REGISTER, rows)
        except SyncError as error:
            text = "%s; and it cannot be kept for later: %s" % (why, error)
            return {project["local_project_uuid"]: SyncResult.failed(text) for project in projects}
        if fit:
            self._warn(why)
            logger.info("Queued %d project registrations in %s", len(fit), self.queue.db_path)
        for project in fit:
            results[project["local_project_uuid"]] = SyncResult.waiting(str(why))
        return results

    def _await(self, results: Dict[str, SyncResult], deadline: float) -> None:
        """Looks what became of those that wait with the daemon, as long as that makes sense. Says why they wait."""
        pause = _PAUSES[0]
        while True:
            waiting = [local for local, result in results.items() if result.queued and not result.error]
            if not waiting:
                return
            try:
                why = _why_waiting(self.daemon.status())
                if why or not _left(deadline):
                    for local in waiting:
                        results[local].error = why
                    return
                time.sleep(min(pause, _left(deadline)))
                pause = min(pause * 1.5, _PAUSES[1])
                for local in waiting:
                    results[local] = _became(self.daemon.project(local), results[local])
            except SyncError as error:
                # It is durable; that nobody answers any more changes nothing about that.
                logger.debug("%s", error)
                return

    def _resolve(self, use_cache: bool, **subject: Any) -> Optional[str]:
        deadline = time.monotonic() + self._wait
        if self._expected.is_anything():
            self._checked()
        # What is known is answered at once, whatever the cloud is doing.
        wait = 0.0 if use_cache else min(_SLICE, self._wait)
        while True:
            try:
                return cloud_uuid_of(self.daemon.resolve(refresh=not use_cache, wait=wait, **subject))
            except Refused as refused:
                may_come = refused.status == 503 or _is_on_its_way(refused)
                if not may_come or not _left(deadline) or _why_waiting(self.daemon.status()):
                    raise
            wait = min(_SLICE, _left(deadline))

    def _registration(self, cloud_uuid: str) -> Optional[Dict[str, Any]]:
        deadline = time.monotonic() + self._wait
        status = self._checked()
        try:
            answer = self.daemon.registration(cloud_uuid, _left(deadline))
            if answer.get("cloud_uuid") != cloud_uuid:
                raise BadAnswer("the daemon tells of another registration than the one it was asked for")
            told = answer.get("told")
            return told if isinstance(told, dict) else answer
        except Refused as refused:
            if refused.status != 404 or any("/registrations/" in route for route in self.daemon.routes()):
                raise
        # A daemon that does not pass this question on has the cloud's word of when it registered the project.
        cursor: Optional[str] = None
        while True:
            page = self.daemon.projects(cursor)
            for project in page.get("projects") or []:
                if project.get("cloud_uuid") == cloud_uuid:
                    named = ("cloud_uuid", "local_project_uuid", "registration_status")
                    return {**{name: project.get(name) for name in named}, "tenant_id": status.get("tenant_id") or ""}
            cursor = page.get("next_cursor")
            if not cursor:
                return None

    def _checked(self) -> Document:
        """The status of the expected daemon; one that begins may need a moment to know its tenant."""
        pause = _PAUSES[0]
        status = self.daemon.status()
        deadline = time.monotonic() + min(_SETTLING, self._wait)
        while self._expected.may_come(status) and _left(deadline):
            time.sleep(min(pause, _left(deadline)))
            pause = min(pause * 1.5, _PAUSES[1])
            status = self.daemon.status()
        self._expected.check(status)
        return status

    def _or_none(self, ask: Callable[[], Optional[T]]) -> Optional[T]:
        try:
            return ask()
        except Refused as refused:
            if refused.status == 404:
                logger.debug("%s", refused)
            else:
                logger.warning("%s", refused)
        except (OtherCloud, Invalid, OldQueueError) as error:
            logger.warning("%s", error)
        except SyncError as error:
            self._warn(error)
        return None

    def _warn(self, error: SyncError) -> None:
        """Says once what is wrong with the daemon."""
        level = logging.DEBUG if self._warned else logging.WARNING
        self._warned = True
        hint = "; " + _HINTS[type(error)] if type(error) in _HINTS else ""
        logger.log(level, "%s%s", error, hint)


def _result_of(told: Any) -> Optional[SyncResult]:
    """The result that a document tells, if it does."""
    if not isinstance(told, dict):
        return None
    success, queued, status = told.get("success"), told.get("queued"), told.get("status")
    cloud_uuid, error = told.get("cloud_uuid"), told.get("error")
    if not (isinstance(success, bool) and isinstance(queued, bool) and isinstance(status, str)):
        return None
    if not all(text is None or isinstance(text, str) for text in (cloud_uuid, error)):
        return None
    if success and not cloud_uuid:
        return None
    return SyncResult(success, cloud_uuid, status, error, queued)


def _became(project: Document, before: SyncResult) -> SyncResult:
    """What became of a registration that was waiting, from the project's record."""
    entry = project.get("queue_item")
    cloud_uuid = project.get("cloud_uuid")
    if isinstance(entry, dict):
        if entry.get("state") not in ("dead", "parked"):
            return before
        last = entry.get("last_error")
        said = last.get("message") if isinstance(last, dict) else None
        return SyncResult.failed(said or "the cloud refuses the project; see `coditect-sync queue`")
    if isinstance(cloud_uuid, str) and project.get("state") == "registered":
        return SyncResult(success=True, cloud_uuid=cloud_uuid, status="registered")
    return before


def _left(deadline: float) -> float:
    return max(0.0, deadline - time.monotonic())


def _is_on_its_way(refused: Refused) -> bool:
    entry = refused.document.get("queue_item")
    return isinstance(entry, dict) and entry.get("state") in ("ready", "in_flight")


def _why_waiting(status: Document) -> Optional[str]:
    if status.get("paused"):
        return "sending is paused; run `coditect-sync resume`"
    cloud = cloud_of(status)
    state = cloud.get("state")
    if state in ("online", "unknown"):
        return None
    last = cloud.get("last_error")
    said = ": %s" % last.get("message") if isinstance(last, dict) else ""
    return "the cloud is %s%s" % (str(state).replace("_", " "), said)
