"""The databases of the old client: rows are put where its queue was, from which the daemon takes them over.

Same place and same table as the old client's. Each operation opens the file, commits and closes it again; the file is
this user's alone; waiting for another program's lock has a limit.
"""

import json
import os
import sqlite3
from contextlib import contextmanager
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, Dict, Iterator, List, Optional, Tuple

from .errors import OldQueueError
from .paths import make_private_folder

#: How long another program's lock is waited for, in seconds.
_BUSY = 5.0
#: Every SQLite takes so many values in one statement.
_MOST_PARAMETERS = 500
#: The longest payload that the daemon takes over, in bytes.
_LONGEST_PAYLOAD = 32 * 1024

_QUEUE = """
    CREATE TABLE IF NOT EXISTS project_sync_queue (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        operation TEXT NOT NULL,
        payload TEXT NOT NULL,
        retry_count INTEGER DEFAULT 0,
        max_retries INTEGER DEFAULT 5,
        next_retry_at TEXT,
        created_at TEXT DEFAULT CURRENT_TIMESTAMP,
        last_error TEXT
    )
"""
_QUEUE_INDEX = "CREATE INDEX IF NOT EXISTS idx_next_retry ON project_sync_queue(next_retry_at)"
_CACHE = """
    CREATE TABLE IF NOT EXISTS cloud_project_cache (
        local_uuid TEXT PRIMARY KEY,
        cloud_uuid TEXT NOT NULL,
        tenant_id TEXT,
        cached_at TEXT DEFAULT CURRENT_TIMESTAMP,
        expires_at TEXT
    )
"""

Row = Tuple[int, str, Dict[str, Any]]


def append(path: Path, operation: str, payloads: List[Dict[str, Any]], max_retries: int = 5) -> List[int]:
    """Puts rows into the queue, all or none, durable when it returns. Answers their numbers.

    A row that says the same already is replaced, so that a queue does not grow by repetition.
    """
    texts = [json.dumps(payload) for payload in payloads]
    for text in texts:
        if len(text) > _LONGEST_PAYLOAD:
            raise OldQueueError("a registration of %d bytes is more than the daemon takes over" % len(text))
    now = datetime.now(timezone.utc)
    # The daemon compares this with what it knows, so it says more than the second; it sorts among the old rows.
    created_at = now.strftime("%Y-%m-%d %H:%M:%S.%f")
    numbers = []
    with _database(path, _QUEUE, _QUEUE_INDEX) as connection:
        for begin in range(0, len(texts), _MOST_PARAMETERS):
            some = texts[begin : begin + _MOST_PARAMETERS]
            connection.execute(
                "DELETE FROM project_sync_queue WHERE operation = ? AND payload IN (%s)"
                % ", ".join("?" * len(some)),
                [operation, *some],
            )
        for text in texts:
            cursor = connection.execute(
                "INSERT INTO project_sync_queue (operation, payload, max_retries, next_retry_at, created_at)"
                " VALUES (?, ?, ?, ?, ?)",
                (operation, text, max_retries, now.isoformat(), created_at),
            )
            numbers.append(int(cursor.lastrowid or 0))
    return numbers


def waiting(path: Path, limit: int) -> List[Row]:
    """The rows of the queue, oldest first, at most ``limit``. What is no JSON object stays there and is passed over."""
    if limit <= 0 or not os.path.exists(path):
        return []
    rows: List[Row] = []
    with _database(path, _QUEUE, _QUEUE_INDEX) as connection:
        # A text that is no UTF-8 would end the reading.
        connection.text_factory = bytes
        for number, operation, text in connection.execute(
            "SELECT id, CAST(operation AS BLOB), payload FROM project_sync_queue ORDER BY id"
        ):
            payload = _payload(text)
            if payload is not None:
                rows.append((int(number), operation.decode("utf-8", "replace"), payload))
            if len(rows) == limit:
                break
    return rows


def count(path: Path) -> int:
    """How many rows the queue has."""
    if not os.path.exists(path):
        return 0
    with _database(path, _QUEUE, _QUEUE_INDEX) as connection:
        return int(connection.execute("SELECT count(*) FROM project_sync_queue").fetchone()[0])


def remove(path: Path, number: int) -> None:
    """Takes a row out of the queue."""
    if os.path.exists(path):
        with _database(path, _QUEUE, _QUEUE_INDEX) as connection:
            connection.execute("DELETE FROM project_sync_queue WHERE id = ?", (number,))


def note_failure(path: Path, number: int, error: str) -> None:
    """Notes why a row could not be sent. It stays due: a row is never given up here."""
    if os.path.exists(path):
        with _database(path, _QUEUE, _QUEUE_INDEX) as connection:
            connection.execute("UPDATE project_sync_queue SET last_error = ? WHERE id = ?", (error, number))


def remember(path: Path, local: str, cloud: str, tenant: str, expires_at: Optional[str]) -> None:
    """Puts a mapping where the old client's cache was; the tenant that is known stays where none is given."""
    with _database(path, _CACHE) as connection:
        connection.execute(
            "INSERT OR REPLACE INTO cloud_project_cache (local_uuid, cloud_uuid, tenant_id, cached_at, expires_at)"
            " VALUES (?, ?, coalesce(nullif(?, ''), (SELECT tenant_id FROM cloud_project_cache"
            " WHERE local_uuid = ? AND cloud_uuid = ?), ''), datetime('now'), ?)",
            (local, cloud, tenant, local, cloud, expires_at),
        )


def forget(path: Path, local: str) -> None:
    """Takes a mapping out of the old client's cache."""
    if os.path.exists(path):
        with _database(path, _CACHE) as connection:
            connection.execute("DELETE FROM cloud_project_cache WHERE local_uuid = ?", (local,))


@contextmanager
def _database(path: Path, *schema: str) -> Iterator[sqlite3.Connection]:
    """The database, made if it is missing; committed and closed at the end."""
    try:
        _prepare(path)
        connection = sqlite3.connect(os.fspath(path), timeout=_BUSY, isolation_level=None)
        try:
            connection.execute("BEGIN IMMEDIATE")
            for statement in schema:
                connection.execute(statement)
            yield connection
            connection.execute("COMMIT")
        finally:
            # Closing takes back what was not committed.
            connection.close()
    except (OSError, sqlite3.Error) as error:
        raise OldQueueError("cannot use `%s`: %s" % (path, error)) from error


def _prepare(path: Path) -> None:
    if path.is_symlink():
        raise OldQueueError("`%s` is a symbolic link, from which the daemon takes nothing over" % path)
    make_private_folder(path.parent)
    # SQLite would make it readable by others, and its journals take over the mode. Only a file that was not there is
    # opened: to close one that another thread has open through SQLite would take that thread's locks away.
    try:
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
    except FileExistsError:
        pass


def _payload(text: Any) -> Optional[Dict[str, Any]]:
    try:
        read = json.loads(text)
    except (ValueError, TypeError, RecursionError):
        return None
    return read if isinstance(read, dict) else None
