"""One HTTP/1.1 exchange over a Unix socket that ends in time, however the other side behaves.

A connection is made for each exchange and closed at its end: no descriptor is left over, nothing is shared between
threads or with a forked process. Who listens has to be this user. Knows no JSON and no routes.
"""

import errno
import os
import socket
import stat
import struct
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Dict, Optional, Tuple

from .errors import BadAnswer, NoAnswer, NoDaemon, SyncError

#: The largest body and head of an answer that are read, in bytes.
LARGEST_BODY = 16 * 1024 * 1024
LARGEST_HEAD = 64 * 1024
#: Between two tries at a socket whose queue is full.
_PAUSE = 0.005
_MOST_INTERIM = 8
#: How macOS tells who listens: `LOCAL_PEERCRED` at `SOL_LOCAL`, a `struct xucred`, whose user is its second number.
_SOL_LOCAL, _LOCAL_PEERCRED = 0, 1
_XUCRED = struct.Struct("=IIhxx16I")
#: And Linux: a `struct ucred` of process, user and group.
_UCRED = struct.Struct("=iII")


@dataclass(frozen=True)
class Patience:
    """How long an exchange may take, in seconds."""

    #: To connect.
    connect: float
    #: From the beginning until the first byte of the answer.
    first_byte: float
    #: From the first byte until the last.
    rest: float


@dataclass(frozen=True)
class Answer:
    """An answer that arrived whole."""

    status: int
    content_type: str
    body: bytes


def exchange(path: Path, request: bytes, patience: Patience) -> Answer:
    """Sends a request and reads its answer; raises a ``SyncError`` where there is none in time."""
    begun = time.monotonic()
    with _connected(path, begun + patience.connect) as connection:
        line = _Line(connection, path, begun + patience.first_byte, patience)
        sent = line.send(request)
        try:
            return _read(line)
        except SyncError as error:
            # A daemon that refuses a large body answers before it has read it, so the answer counts first.
            raise (sent or error) from None


def _connected(path: Path, deadline: float) -> socket.socket:
    try:
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            _connect(connection, path, deadline)
            _check_listener(connection, path)
        except BaseException:
            connection.close()
            raise
        return connection
    except OSError as error:
        raise NoDaemon("cannot connect to `%s`: %s" % (path, error)) from error


def _connect(connection: socket.socket, path: Path, deadline: float) -> None:
    # A blocking connect waits without limit while the queue of a stopped daemon is full.
    connection.setblocking(False)
    while True:
        code = connection.connect_ex(os.fspath(path))
        if code in (0, errno.EISCONN):
            return
        again = code in (errno.EAGAIN, errno.EWOULDBLOCK, errno.EINPROGRESS, errno.EALREADY, errno.EINTR)
        if not again:
            raise _meaning(code, path)
        if time.monotonic() >= deadline:
            raise NoAnswer("the daemon at `%s` takes no more connections" % path)
        time.sleep(_PAUSE)


def _check_listener(connection: socket.socket, path: Path) -> None:
    """Whoever can bind a socket can say anything, so only this user's own daemon is believed."""
    theirs, ours = _listener(connection), os.geteuid()
    if theirs != ours:
        raise NoDaemon(
            "who listens on the socket `%s` is the user with the number %d, not this one (%d)" % (path, theirs, ours)
        )


def _listener(connection: socket.socket) -> int:
    """The number of the user who listens at the other end."""
    if sys.platform.startswith("linux"):
        told = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _UCRED.size)
        return int(_UCRED.unpack(told)[1])
    told = connection.getsockopt(_SOL_LOCAL, _LOCAL_PEERCRED, _XUCRED.size)
    if len(told) < 8:
        raise OSError(errno.EINVAL, "the system does not tell who listens")
    return int(struct.unpack_from("=II", told)[1])


def _meaning(code: int, path: Path) -> SyncError:
    if code in (errno.ENOENT, errno.ENOTDIR):
        return NoDaemon("no daemon is running: there is no socket at `%s`" % path)
    if code == errno.ECONNREFUSED and _is_socket(path):
        return NoDaemon("no daemon is running: nobody listens on the socket `%s`" % path)
    if code in (errno.ECONNREFUSED, errno.EPROTOTYPE, errno.ENOTSOCK):
        return NoDaemon("`%s` is not the socket of a daemon" % path)
    if code in (errno.EACCES, errno.EPERM):
        return NoDaemon("the socket `%s` must not be opened by this user" % path)
    return NoDaemon("cannot connect to `%s`: %s" % (path, os.strerror(code)))


def _is_socket(path: Path) -> bool:
    try:
        return stat.S_ISSOCK(os.stat(path).st_mode)
    except OSError:
        return False


@dataclass
class _Line:
    """A connection that gives up at a moment, however the bytes before it trickled in."""

    connection: socket.socket
    path: Path
    deadline: float
    patience: Patience
    heard: bool = False
    buffer: bytearray = field(default_factory=bytearray)

    def send(self, request: bytes) -> Optional[SyncError]:
        """Sends all of it; what was in the way is given back, as there may be an answer all the same."""
        left = memoryview(request)
        try:
            while left:
                self._wait()
                left = left[self.connection.send(left) :]
        except OSError as error:
            return self._failure(error)
        return None

    def more(self) -> bool:
        """Reads on; ``False`` at the end of the stream."""
        try:
            self._wait()
            found = self.connection.recv(64 * 1024)
        except OSError as error:
            raise self._failure(error) from None
        if found and not self.heard:
            self.heard = True
            self.deadline = time.monotonic() + self.patience.rest
        self.buffer += found
        return bool(found)

    def until(self, end: bytes, limit: int) -> bytes:
        """Reads to the end of the next ``end``, which is taken off."""
        begin = 0
        while True:
            found = self.buffer.find(end, begin)
            if found > limit or (found < 0 and len(self.buffer) > limit):
                raise self.bad("it is larger than is read")
            if found >= 0:
                text = bytes(self.buffer[:found])
                del self.buffer[: found + len(end)]
                return text
            begin = max(0, len(self.buffer) - len(end) + 1)
            if not self.more():
                raise self.cut()

    def exactly(self, count: int) -> bytes:
        """Reads so many bytes."""
        while len(self.buffer) < count:
            if not self.more():
                raise self.cut()
        text = bytes(self.buffer[:count])
        del self.buffer[:count]
        return text

    def bad(self, why: str) -> BadAnswer:
        return BadAnswer("the answer of the daemon at `%s` cannot be read: %s" % (self.path, why))

    def cut(self) -> NoAnswer:
        return NoAnswer("the daemon at `%s` closed the connection without a whole answer" % self.path)

    def _wait(self) -> None:
        left = self.deadline - time.monotonic()
        if left <= 0:
            raise socket.timeout()
        self.connection.settimeout(left)

    def _failure(self, error: OSError) -> SyncError:
        if isinstance(error, socket.timeout):
            limit = self.patience.rest if self.heard else self.patience.first_byte
            what = "ended its answer" if self.heard else "answered"
            return NoAnswer("the daemon at `%s` has not %s within %.3g s" % (self.path, what, limit))
        if isinstance(error, (ConnectionError, BrokenPipeError)):
            return self.cut()
        return NoAnswer("the connection to `%s` failed: %s" % (self.path, error))


def _read(line: _Line) -> Answer:
    for _ in range(_MOST_INTERIM):
        status, fields = _head(line)
        if not 100 <= status < 200:
            return Answer(status, fields.get("content-type", ""), _body(line, status, fields))
    raise line.bad("only interim answers arrive")


def _head(line: _Line) -> Tuple[int, Dict[str, str]]:
    # Something that is no HTTP need not have the end of a head; its first bytes tell.
    while len(line.buffer) < 5:
        if not line.more():
            raise line.cut() if not line.buffer else line.bad("it is no HTTP/1.1")
    if not line.buffer.startswith(b"HTTP/"):
        raise line.bad("it is no HTTP/1.1")
    rows = line.until(b"\r\n\r\n", LARGEST_HEAD).decode("latin-1").split("\r\n")
    words = rows[0].split(" ", 2)
    if words[0] not in ("HTTP/1.1", "HTTP/1.0") or len(words) < 2 or not _digits(words[1], 3):
        raise line.bad("it begins with `%.60s`" % rows[0])
    fields: Dict[str, str] = {}
    for row in rows[1:]:
        name, colon, value = row.partition(":")
        if not colon:
            raise line.bad("`%.60s` is no header field" % row)
        name, value = name.strip().lower(), value.strip()
        if name == "content-length" and fields.get(name, value) != value:
            raise line.bad("it gives two lengths")
        fields[name] = value
    return int(words[1]), fields


def _body(line: _Line, status: int, fields: Dict[str, str]) -> bytes:
    if status in (204, 304):
        return b""
    encoding = fields.get("transfer-encoding")
    if encoding is not None:
        if encoding.lower() != "chunked":
            raise line.bad("its body is encoded as `%.60s`" % encoding)
        return _chunks(line)
    length = fields.get("content-length")
    if length is not None:
        if not _digits(length):
            raise line.bad("`%.60s` is no length" % length)
        return line.exactly(_allowed(line, int(length)))
    while line.more():
        _allowed(line, len(line.buffer))
    return bytes(line.buffer)


def _chunks(line: _Line) -> bytes:
    body = bytearray()
    while True:
        size = line.until(b"\r\n", LARGEST_HEAD).split(b";")[0].strip().decode("latin-1")
        if not size or len(size) > 8 or any(digit not in "0123456789abcdefABCDEF" for digit in size):
            raise line.bad("`%.60s` is no size of a chunk" % size)
        if int(size, 16) == 0:
            while line.until(b"\r\n", LARGEST_HEAD):
                pass
            return bytes(body)
        _allowed(line, len(body) + int(size, 16))
        body += line.exactly(int(size, 16))
        if line.exactly(2) != b"\r\n":
            raise line.bad("a chunk is longer than it says")


def _allowed(line: _Line, length: int) -> int:
    if length > LARGEST_BODY:
        raise line.bad("it is larger than is read")
    return length


def _digits(text: str, count: int = 0) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= 18 and (not count or len(text) == count)
