"""The ways in which something can come to nothing, by what the caller can do next.

Knows nothing of how they come about. The methods of ``CloudProjectClient`` raise none of them; those of ``Daemon`` do.
"""

from typing import Any, Dict, Optional


class SyncError(Exception):
    """Everything this package raises; its text is a sentence for people."""


class PlaceError(SyncError):
    """The surroundings name a place that cannot be used: a relative path, a socket path too long for the system."""


class Invalid(SyncError):
    """A project or an identifier that can never be registered as it is; sending it again does not help."""


class NoDaemon(SyncError):
    """No daemon can be reached: none is running, or it is not this user's."""


class NoAnswer(SyncError):
    """Somebody listens on the socket and did not answer in time, or stopped in the middle."""


class BadAnswer(SyncError):
    """Something answered that is not the daemon's control API as this package knows it."""


class OtherCloud(SyncError):
    """The daemon registers with another cloud or for another tenant than this client was made for."""


class OldQueueError(SyncError):
    """The old queue file cannot be read or written."""


class Refused(SyncError):
    """The daemon said why it does not do what it was asked: an RFC 9457 problem."""

    def __init__(self, document: Dict[str, Any], http_status: int) -> None:
        detail = _text(document.get("detail")) or _text(document.get("title")) or "HTTP status %d" % http_status
        super().__init__(detail)
        #: The stable word, for example ``not_registered`` or ``queue_full``.
        self.code: str = _text(document.get("code")) or "internal"
        #: The HTTP status.
        self.status: int = http_status
        #: What was wrong and where.
        self.detail: str = detail
        #: What to do about it, where the daemon knows.
        self.hint: Optional[str] = _text(document.get("hint"))
        #: The whole document.
        self.document: Dict[str, Any] = document

    @property
    def is_final(self) -> bool:
        """Whether asking for the same again can never help."""
        return self.status in (400, 409, 413, 415, 422)

    def __str__(self) -> str:
        return "%s; %s" % (self.detail, self.hint) if self.hint else self.detail


def _text(value: Any) -> Optional[str]:
    return value if isinstance(value, str) and value else None
