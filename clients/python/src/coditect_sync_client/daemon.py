"""The daemon as a Python program sees it: its control API, each route a method, each failure a typed error.

``docs/control-api.yaml`` of the daemon says what the documents hold; they are given as they come.
"""

import json
import os
import time
from pathlib import Path
from typing import Any, Dict, List, NoReturn, Optional
from urllib.parse import quote

from . import paths
from .errors import BadAnswer, Invalid, NoAnswer, NoDaemon, PlaceError, Refused
from .model import real_path, uuid_text
from .wire import Answer, Patience, exchange

#: How long connecting and the first byte of an answer may take, in seconds.
DEFAULT_TIMEOUT = 2.0
#: Once an answer has begun, the whole of it may take this many times the limit for its first byte.
_WHOLE_ANSWER = 5
#: A daemon that was silent is given less time for so long, so that nobody waits for it again and again.
_SUSPICION = 10.0
_TIMEOUT_IN_SUSPICION = 0.25
#: The daemon looks at a project's folder for at most so long before it answers.
_LONGEST_LOOK = 30.0
#: The longest wait the daemon takes.
_LONGEST_WAIT = 600.0
#: Most entries in one page of the queue.
_LARGEST_PAGE = 1000

Document = Dict[str, Any]


class Daemon:
    """Speaks to one daemon. May be used from many threads and after a fork; nothing is open between two calls.

    ``socket`` and ``state_dir`` beat ``CODITECT_SYNC_SOCKET`` and ``CODITECT_SYNC_STATE_DIR``, which beat the
    platform's state folder. Where nobody named the socket and none answers at the default, the one that the daemon
    wrote into its lock file is tried.
    """

    def __init__(
        self,
        socket: Optional[paths.AnyPath] = None,
        state_dir: Optional[paths.AnyPath] = None,
        timeout: float = DEFAULT_TIMEOUT,
    ) -> None:
        paths.check_variables(socket, state_dir)
        self._socket = socket
        self._state_dir = state_dir
        self._timeout = timeout
        self._suspected_until = 0.0

    @property
    def socket(self) -> Path:
        """Where the daemon is looked for."""
        return paths.socket_path(self._socket, self._state_dir)

    def status(self) -> Document:
        """``GET /v1/status``: how the daemon is doing."""
        return self.request("GET", "/v1/status")

    def resolve(
        self,
        local_uuid: Optional[str] = None,
        path: Optional[paths.AnyPath] = None,
        refresh: bool = False,
        wait: Optional[float] = None,
    ) -> Document:
        """``GET /v1/resolve``: the cloud's UUID of a project; ``Refused`` with ``not_registered`` where it has none.

        Only a miss or ``refresh`` waits for the cloud, for ``wait`` seconds at most (the daemon's default is 1.5).
        """
        if local_uuid is not None:
            subject = "local_uuid=" + uuid_text(local_uuid, "local_uuid")
        elif path is not None:
            subject = "path=" + _encoded(real_path(path))
        else:
            raise Invalid("give local_uuid or path")
        target = "/v1/resolve?" + subject + ("&refresh=true" if refresh else "")
        if wait is not None:
            target += "&wait_ms=%d" % _milliseconds(wait)
        return self.request("GET", target, patience=1.5 if wait is None else wait)

    def register(self, project: Document, force: bool = False, wait: float = 0.0) -> Document:
        """``POST /v1/projects``: registers one project; it is durable before the answer."""
        body = {**project, "force": force, "wait_ms": _milliseconds(wait)}
        return self.request("POST", "/v1/projects", body, patience=wait + _LONGEST_LOOK)

    def sync(self, projects: List[Document], force: bool = False, wait: float = 0.0) -> Document:
        """``POST /v1/projects/sync``: registers several projects; they are durable before the answer."""
        body = {"projects": projects, "force": force, "wait_ms": _milliseconds(wait)}
        return self.request("POST", "/v1/projects/sync", body, patience=wait + _LONGEST_LOOK)

    def projects(self, cursor: Optional[str] = None, limit: int = 1000) -> Document:
        """``GET /v1/projects``: one page of the projects on this machine."""
        target = "/v1/projects?limit=%d" % limit
        return self.request("GET", target + ("&cursor=" + _encoded(cursor.encode()) if cursor else ""))

    def project(self, local_uuid: str) -> Document:
        """``GET /v1/projects/{local_uuid}``: one project."""
        return self.request("GET", "/v1/projects/" + uuid_text(local_uuid, "local_uuid"))

    def registration(self, cloud_uuid: str, wait: Optional[float] = None) -> Document:
        """``GET /v1/registrations/{cloud_uuid}``: what the cloud says of a registration, on whichever machine it is.

        The cloud is waited for, for ``wait`` seconds at most (the daemon's default is 1.5). Its whole answer is in
        ``told``.
        """
        target = "/v1/registrations/" + uuid_text(cloud_uuid, "cloud_uuid")
        if wait is not None:
            target += "?wait_ms=%d" % _milliseconds(wait)
        return self.request("GET", target, patience=1.5 if wait is None else wait)

    def queue(self) -> Document:
        """``GET /v1/queue``: how many entries wait, by state."""
        return self.request("GET", "/v1/queue")

    def queue_items(
        self, state: Optional[str] = None, limit: int = 100, cursor: Optional[str] = None
    ) -> Document:
        """``GET /v1/queue/items``: at most ``limit`` entries, oldest first, from as many pages as that takes."""
        items: List[Any] = []
        page: Document = {"items": items, "next_cursor": cursor}
        while len(items) < limit:
            page = self._queue_page(state, min(limit - len(items), _LARGEST_PAGE), page.get("next_cursor"))
            found = page.get("items")
            if not isinstance(found, list):
                raise BadAnswer("the daemon's page of its queue has no entries")
            items += found
            if not found or not page.get("next_cursor"):
                break
        return {**page, "items": items[: max(0, limit)]}

    def _queue_page(self, state: Optional[str], limit: int, cursor: Optional[str]) -> Document:
        target = "/v1/queue/items?limit=%d" % limit
        for name, value in (("state", state), ("cursor", cursor)):
            if value:
                target += "&%s=%s" % (name, _encoded(value.encode()))
        return self.request("GET", target)

    def drop_item(self, entry: int) -> None:
        """``DELETE /v1/queue/items/{id}``: drops an entry for good."""
        self.request("DELETE", "/v1/queue/items/%d" % entry)

    def flush(self, wait: float = 0.0) -> Document:
        """``POST /v1/queue/flush``: sends what waits now, whatever the pauses say."""
        return self.request("POST", "/v1/queue/flush", {"wait_ms": _milliseconds(wait)}, patience=wait)

    def routes(self) -> List[str]:
        """The paths this daemon answers, from its own description."""
        described = self.request("GET", "/v1/openapi.json").get("paths")
        return list(described) if isinstance(described, dict) else []

    def request(
        self, method: str, target: str, body: Optional[Document] = None, patience: float = 0.0
    ) -> Document:
        """Any request; its JSON object, empty where there is no body.

        Connecting and the first byte may take ``timeout`` together, plus ``patience``, which is what the request
        itself asks the daemon to take.
        """
        content = None if body is None else json.dumps(body).encode("utf-8")
        answer = self._exchange(_request(method, target, content), patience)
        return _document(answer, "%s %s" % (method, target))

    def _exchange(self, request: bytes, patience: float) -> Answer:
        suspected = time.monotonic() < self._suspected_until
        timeout = min(self._timeout, _TIMEOUT_IN_SUSPICION) if suspected else self._timeout
        limits = Patience(timeout, timeout + patience, timeout * _WHOLE_ANSWER)
        try:
            answer = self._found(request, limits)
        except NoAnswer:
            self._suspected_until = time.monotonic() + _SUSPICION
            raise
        self._suspected_until = 0.0
        return answer

    def _found(self, request: bytes, limits: Patience) -> Answer:
        stated = paths.stated_socket(self._socket)
        if stated is not None:
            return exchange(paths.fitting(stated), request, limits)
        state = paths.state_dir(self._state_dir)
        default = state / "sync.sock"
        try:
            return exchange(paths.fitting(default), request, limits)
        except (NoDaemon, PlaceError):
            elsewhere = _socket_of_lock(state / "daemon.lock")
            if elsewhere is None or elsewhere == default:
                raise
            return exchange(paths.fitting(elsewhere), request, limits)


def cloud_of(status: Document) -> Document:
    """What a status tells of the cloud."""
    cloud = status.get("cloud")
    return cloud if isinstance(cloud, dict) else {}


def _socket_of_lock(lock: Path) -> Optional[Path]:
    """The socket that a daemon wrote into its lock file, if it is this user's own."""
    try:
        written = json.loads(lock.read_bytes()[: 64 * 1024])["socket"]
        if not isinstance(written, str) or not os.path.isabs(written):
            return None
        path = Path(written)
        return path if os.stat(path).st_uid == os.geteuid() else None
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None


def _request(method: str, target: str, content: Optional[bytes]) -> bytes:
    from . import __version__

    lines = [
        "%s %s HTTP/1.1" % (method, target),
        "host: localhost",
        "user-agent: coditect-sync-client/%s" % __version__,
        "accept: application/json",
        "connection: close",
    ]
    if content is not None:
        lines += ["content-type: application/json", "content-length: %d" % len(content)]
    elif method == "POST":
        lines.append("content-length: 0")
    return "\r\n".join([*lines, "", ""]).encode("ascii") + (content or b"")


def _document(answer: Answer, asked: str) -> Document:
    kind = answer.content_type.split(";")[0].strip().lower()
    if answer.status == 204 and not answer.body:
        return {}
    read: Any = None
    if kind in ("application/json", "application/problem+json"):
        try:
            read = json.loads(answer.body)
        except (ValueError, RecursionError):
            _bad(answer, asked, "no JSON")
    if not isinstance(read, dict):
        _bad(answer, asked, "no JSON object")
    if kind == "application/problem+json":
        raise Refused(read, answer.status)
    # A project that cannot be registered is answered with 422 and its result, a daemon that is not well with 503 and
    # its own document: the status alone does not make an answer a failure.
    return read


def _bad(answer: Answer, asked: str, what: str) -> NoReturn:
    raise BadAnswer("the daemon answered %s with status %d and %s" % (asked, answer.status, what))


def _milliseconds(wait: float) -> int:
    return int(max(0.0, min(wait, _LONGEST_WAIT)) * 1000)


def _encoded(raw: bytes) -> str:
    return quote(raw, safe="/-._~")
