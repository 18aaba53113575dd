"""What a configuration says of the daemon's cloud and tenant, read as the daemon reads it.

It is compared with what a caller expects, and nothing else. What cannot be read, or what only the daemon can find out,
is not guessed: it is ``Unknown``, with the reason.
"""

import base64
import errno
import json
import os
import re
import stat
from pathlib import Path
from typing import Any, Dict, Optional

from . import paths
from .errors import SyncError
from .model import is_utf8

DEFAULT_API_URL = "https://api.coditect.ai"
#: The beginning of the variables that stand for the keys below.
_PREFIX = "CODITECT_SYNC__CLOUD_SYNC__"
_KEYS = ("api_url", "auth_token", "auth_token_file", "credential_command", "tenant_id")
#: The largest configuration and the longest token that are read, in bytes.
_LARGEST_FILE = 4 * 1024 * 1024
_LONGEST_TOKEN = 64 * 1024
_LONGEST_TENANT = 200
#: What is left as it is, a text, or taken out: a comment, and a comma before the end of a list or an object.
_TEXT = r'"[^"\\]*(?:\\.[^"\\]*)*(?:"|\\?\Z)'
_COMMENT = re.compile(_TEXT + r"|//[^\n]*|/\*.*?(?:\*/|\Z)", re.DOTALL)
_LAST_COMMA = re.compile(_TEXT + r"|,(?=[ \t\r\n]*[}\]])", re.DOTALL)


class Unknown(SyncError):
    """It cannot be told; the text says why."""


class Configuration:
    """The keys of ``cloud_sync`` in a file, and what is said elsewhere instead.

    A file that is there and cannot be read makes what it may say unknown, and is no error.
    """

    def __init__(self, path: Optional[paths.AnyPath] = None, instead: Optional[Dict[str, Any]] = None) -> None:
        self._values: Dict[str, Any] = {}
        #: Why the file cannot be read, where it is there and cannot be.
        self.broken: Optional[str] = None
        try:
            self._values = _section(Path(path) if path is not None else paths.config_path())
        except (OSError, TypeError, ValueError, RecursionError, SyncError) as error:
            self.broken = "the configuration cannot be read: %s" % error
        self._values.update(instead or {})

    def text(self, key: str) -> Optional[str]:
        """A key's text, ``None`` where nothing is said."""
        if self.broken and key not in self._values:
            raise Unknown(self.broken)
        value = self._values.get(key)
        if value is None:
            return None
        if not isinstance(value, str) or not is_utf8(value):
            raise Unknown("`cloud_sync.%s` is no text" % key)
        return value if value.strip() else None

    def text_or(self, key: str, default: Optional[str]) -> Optional[str]:
        """The same, with a default also for what is unknown."""
        try:
            return self.text(key) or default
        except Unknown:
            return default

    def api_url(self) -> str:
        """The cloud's address."""
        return (self.text("api_url") or DEFAULT_API_URL).strip()

    def tenant(self) -> str:
        """The tenant for which the daemon registers: the one that is named, else that of its token."""
        named = self.text("tenant_id")
        if named is None:
            named = tenant_of(self.token())
        if named is None:
            raise Unknown("its token names none")
        return named

    def token(self) -> str:
        """The daemon's token: the configured one, else what ``coditect-sync auth set-token`` stored."""
        inline, file = self.text("auth_token"), self.text("auth_token_file")
        command = self._has_command()
        if sum((inline is not None, file is not None, command)) > 1:
            raise Unknown("it is configured with more than one of auth_token, auth_token_file and credential_command")
        if command:
            raise Unknown("its credential_command decides that, and only the daemon runs it")
        if inline is not None:
            return inline.strip()
        return _stored_token(file)

    def _has_command(self) -> bool:
        if self.broken and "credential_command" not in self._values:
            raise Unknown(self.broken)
        value = self._values.get("credential_command")
        return bool(value.strip()) if isinstance(value, str) else value is not None


def of_the_daemon() -> Configuration:
    """The daemon's own: the file that all tools share, and the environment, which beats it."""
    return Configuration(None, _variables())


def tenant_of(token: Optional[str]) -> Optional[str]:
    """The tenant that a JWT names; it is only compared, so its signature is of no account."""
    try:
        _, claims, _ = (token or "").split(".")
        bare = claims.rstrip("=")
        read = json.loads(base64.urlsafe_b64decode(bare + "=" * (-len(bare) % 4)))
        tenant = read.get("tenant_id") if isinstance(read, dict) else None
    except (ValueError, RecursionError):
        return None
    if isinstance(tenant, int) and not isinstance(tenant, bool):
        tenant = str(tenant)
    return tenant if isinstance(tenant, str) and _is_name(tenant) else None


def _is_name(text: str) -> bool:
    if not text.strip() or not is_utf8(text) or any(ord(one) < 32 or 127 <= ord(one) < 160 for one in text):
        return False
    return len(text.encode("utf-8")) <= _LONGEST_TENANT


def _variables() -> Dict[str, Any]:
    found: Dict[str, Any] = {}
    for key in _KEYS:
        text = os.environ.get(_PREFIX + key.upper())
        # An empty text takes away what the file says; of the address it does not, as there has to be one.
        if text is not None and (text.strip() or key != "api_url"):
            found[key] = text
    return found


def _section(path: Path) -> Dict[str, Any]:
    try:
        text = _content(path, _LARGEST_FILE).decode("utf-8").lstrip("\ufeff")
    except FileNotFoundError:
        return {}
    plain = _COMMENT.sub(_without_comment, text)
    plain = _LAST_COMMA.sub(lambda found: "" if found.group() == "," else found.group(), plain)
    read = json.loads(plain) if plain.strip() else {}
    if not isinstance(read, dict):
        raise ValueError("`%s` is no JSON object" % path)
    section = read.get("cloud_sync")
    if section is not None and not isinstance(section, dict):
        raise ValueError("`cloud_sync` in `%s` is no JSON object" % path)
    return section or {}


def _without_comment(found: "re.Match[str]") -> str:
    text = found.group()
    if text.startswith('"'):
        return text
    if text.startswith("/*") and (len(text) < 4 or not text.endswith("*/")):
        raise ValueError("a comment has no end")
    return " "


def _stored_token(file: Optional[str]) -> str:
    try:
        path = paths.expanded(file) if file is not None else paths.state_dir() / "token"
        token = _content(path, _LONGEST_TOKEN).decode("ascii").strip()
    except (OSError, ValueError, SyncError) as error:
        raise Unknown("its token cannot be read: %s" % error) from None
    if not token.isprintable() or not token or " " in token:
        raise Unknown("`%s` holds no token" % path)
    return token


def _content(path: Path, largest: int) -> bytes:
    """What is in a file; what is none, as a pipe, is not waited for."""
    file = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY)
    try:
        if not stat.S_ISREG(os.fstat(file).st_mode):
            raise OSError(errno.EINVAL, "it is not a file", os.fspath(path))
        content = bytearray()
        while len(content) <= largest:
            more = os.read(file, largest + 1 - len(content))
            if not more:
                return bytes(content)
            content += more
    finally:
        os.close(file)
    raise OSError(errno.EFBIG, "it is larger than is read", os.fspath(path))
