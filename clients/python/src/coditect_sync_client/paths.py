"""Where things are: the places of the daemon and of the old client, found as the daemon's own programs find them.

An argument beats the environment, which beats the default. Nothing depends on what differs between a login, cron, sudo
and a service, such as ``TMPDIR`` or ``XDG_RUNTIME_DIR``.
"""

import json
import os
import sys
import uuid
from pathlib import Path
from typing import Optional, Union

from .errors import PlaceError

#: A path as a caller gives it.
AnyPath = Union[str, "os.PathLike[str]"]

#: The longest path a Unix socket can have, in bytes.
LONGEST_SOCKET = 107 if sys.platform.startswith("linux") else 103

_FOLDER_OF_OLD_FILES = "context-storage"


def get_coditect_data_dir() -> Path:
    """The data folder that all coditect tools share: ``$CODITECT_DATA_DIR``, else ``~/.coditect-data``."""
    return _given(None, "CODITECT_DATA_DIR") or _home() / ".coditect-data"


def get_sessions_db_path() -> Path:
    """The database in which the old client kept its cache; the folder it is in is made if it is missing."""
    path = sessions_db_path()
    try:
        make_private_folder(path.parent)
    except OSError as error:
        raise PlaceError("cannot make the folder `%s`: %s" % (path.parent, error.strerror)) from error
    return path


def sessions_db_path() -> Path:
    """The same, whether its folder is there or not."""
    return get_coditect_data_dir() / _FOLDER_OF_OLD_FILES / "sessions.db"


def sync_queue_db_path() -> Path:
    """The database in which the old client kept its queue, and from which the daemon takes it over."""
    return get_coditect_data_dir() / _FOLDER_OF_OLD_FILES / "sync_queue.db"


def get_machine_id() -> str:
    """This machine's UUID, which all coditect tools share; made if it is missing.

    An identity is never made over one that cannot be read: the cloud would see all projects of this machine twice.
    """
    path = get_coditect_data_dir() / "machine-id.json"
    found = _read_machine_id(path)
    if found is None:
        _make_machine_id(path)
        found = _read_machine_id(path)
    if found is None:
        raise PlaceError("the machine identity `%s` went away while it was read" % path)
    return found


def config_path() -> Path:
    """The configuration file that all coditect tools share."""
    return _given(None, "CODITECT_CONFIG") or _home() / ".coditect" / "config" / "config.json"


def state_dir(explicit: Optional[AnyPath] = None) -> Path:
    """The folder of everything the daemon keeps."""
    given = _given(explicit, "CODITECT_SYNC_STATE_DIR")
    if given is not None:
        return given
    if sys.platform == "darwin":
        return _home() / "Library" / "Application Support" / "coditect-sync"
    # As the XDG rules have it, a relative value of this variable does not count.
    xdg = os.environ.get("XDG_STATE_HOME", "")
    return (Path(xdg) if os.path.isabs(xdg) else _home() / ".local" / "state") / "coditect-sync"


def socket_path(
    explicit: Optional[AnyPath] = None, state: Optional[AnyPath] = None
) -> Path:
    """The daemon's socket: the argument's, else ``$CODITECT_SYNC_SOCKET``, else ``sync.sock`` in the state folder."""
    path = stated_socket(explicit) or state_dir(state) / "sync.sock"
    return fitting(path)


def stated_socket(explicit: Optional[AnyPath] = None) -> Optional[Path]:
    """The socket that somebody named, if anybody did."""
    return _given(explicit, "CODITECT_SYNC_SOCKET")


def fitting(path: Path) -> Path:
    """Passes on a path that a socket can have."""
    length = len(os.fsencode(path))
    if length > LONGEST_SOCKET:
        raise PlaceError(
            "the socket path `%s` has %d bytes and this system allows %d; "
            "set CODITECT_SYNC_SOCKET=$HOME/.coditect-sync/sync.sock for the daemon and for its clients"
            % (path, length, LONGEST_SOCKET)
        )
    return path


def expanded(text: str) -> Path:
    """A path of the configuration; ``~`` and ``$HOME`` at its beginning stand for the home directory."""
    for name in ("~", "$HOME", "${HOME}"):
        rest = text[len(name) :]
        if text.startswith(name) and (not rest or rest.startswith("/")):
            return _home() / rest.lstrip("/")
    if not os.path.isabs(text):
        raise PlaceError("the path `%s` in the configuration is not absolute" % text)
    return Path(text)


def make_private_folder(folder: Path) -> None:
    """Makes a folder and what is missing above it, for this user alone; leaves what is there as it is."""
    if not folder.is_dir():
        make_private_folder(folder.parent)
        try:
            folder.mkdir(mode=0o700)
        except FileExistsError:
            if not folder.is_dir():
                raise


def check_variables(socket: Optional[AnyPath] = None, state: Optional[AnyPath] = None) -> None:
    """Raises ``PlaceError`` where the environment names a place by a relative path, as ``coditect-sync`` refuses it.

    A variable that an argument beats is not looked at.
    """
    beaten = {"CODITECT_SYNC_SOCKET": socket, "CODITECT_SYNC_STATE_DIR": state}
    for variable in ("CODITECT_CONFIG", "CODITECT_SYNC_STATE_DIR", "CODITECT_SYNC_SOCKET", "CODITECT_DATA_DIR"):
        if beaten.get(variable) is None:
            _given(None, variable)


def _given(explicit: Optional[AnyPath], variable: str) -> Optional[Path]:
    text = os.fspath(explicit) if explicit is not None else os.environ.get(variable, "")
    if not text and explicit is None:
        return None
    if not os.path.isabs(text):
        where = "the argument" if explicit is not None else "the environment variable %s" % variable
        raise PlaceError("%s is `%s`, which must be an absolute path" % (where, text))
    return Path(text)


def _home() -> Path:
    home = os.environ.get("HOME", "")
    if not home:
        import pwd

        try:
            home = pwd.getpwuid(os.getuid()).pw_dir
        except KeyError:
            home = ""
    if not os.path.isabs(home):
        raise PlaceError("no home directory is known; set HOME")
    return Path(home)


def _read_machine_id(path: Path) -> Optional[str]:
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise PlaceError("cannot read the machine identity `%s`: %s" % (path, error.strerror)) from error
    try:
        return str(uuid.UUID(json.loads(content)["machine_uuid"]))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise PlaceError(
            "`%s` holds no `machine_uuid`; mend it or move it away to get a new identity" % path
        ) from None


def _make_machine_id(path: Path) -> None:
    """Written beside and linked into place, so that two tools that begin together agree on one identity."""
    fresh = str(uuid.uuid4())
    beside = path.with_name("%s.%s" % (path.name, fresh))
    try:
        make_private_folder(path.parent)
        file = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            os.write(file, json.dumps({"machine_uuid": fresh}).encode() + b"\n")
            os.fsync(file)
            os.link(beside, path)
        except FileExistsError:
            pass
        finally:
            os.close(file)
            os.unlink(beside)
    except OSError as error:
        raise PlaceError("cannot make the machine identity `%s`: %s" % (path, error.strerror)) from error
