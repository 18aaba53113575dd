"""What a client is given and what it gives back, as the old client had it, and what can never be registered."""

import os
import uuid
from dataclasses import dataclass
from typing import Any, Dict, Optional
from urllib.parse import quote

from .errors import Invalid

_KINDS = ("standalone", "submodule", "monorepo")
#: The daemon's limits, in bytes.
_LONGEST_NAME = 255
_LONGEST_PATH = 4096
_LONGEST_WORD = 128


class _Assumed(str):
    """A default that nobody stated, so that what the daemon knows is not overwritten by it. Equal to its text."""


@dataclass
class ProjectRegistration:
    """Local project data for cloud registration.

    What is empty, or a ``project_type`` that is not given, is found out by the daemon.
    """

    local_project_uuid: str
    project_name: str
    root_path: str
    primary_language: str = ""
    framework: str = ""
    content_hash: str = ""
    project_type: str = _Assumed("standalone")
    parent_project_uuid: Optional[str] = None


@dataclass
class CloudProject:
    """Cloud project response."""

    cloud_uuid: str
    local_project_uuid: str
    registration_status: str
    registered_at: str
    tenant_id: str = ""


@dataclass
class SyncResult:
    """Result of a sync operation.

    ``success`` says that the cloud has the project; ``queued`` that it waits safely on disk to be sent. Where both are
    false, ``error`` says why nothing was done and nothing will be.
    """

    success: bool
    cloud_uuid: Optional[str] = None
    status: str = ""
    error: Optional[str] = None
    queued: bool = False

    @classmethod
    def failed(cls, why: object) -> "SyncResult":
        """Nothing was done."""
        return cls(success=False, status="error", error=str(why))

    @classmethod
    def waiting(cls, why: Optional[str] = None, cloud_uuid: Optional[str] = None) -> "SyncResult":
        """It waits to be sent."""
        return cls(success=False, cloud_uuid=cloud_uuid, status="queued", error=why, queued=True)


def uuid_text(text: Any, field: str) -> str:
    """A UUID as the daemon writes it."""
    try:
        found = uuid.UUID(text) if isinstance(text, str) else text
    except ValueError:
        found = None
    if not isinstance(found, uuid.UUID) or found.int == 0:
        raise Invalid("%s is `%.80s`, not the UUID of a thing" % (field, text))
    return str(found)


def stated(project: ProjectRegistration) -> Dict[str, Any]:
    """What a registration states, by the names of the cloud's contract; raises ``Invalid`` where it can never be one.

    ``root_path`` is absolute. Where it is not UTF-8 it still has its bytes, as Python keeps them.
    """
    fields: Dict[str, Any] = {"local_project_uuid": uuid_text(project.local_project_uuid, "local_project_uuid")}
    fields["root_path"] = _root(project.root_path)
    name = _word(project.project_name, "project_name", _LONGEST_NAME)
    if name.strip():
        fields["project_name"] = name
    for field in ("primary_language", "framework", "content_hash"):
        word = _word(getattr(project, field), field, _LONGEST_WORD)
        if word:
            fields[field] = word
    kind = project.project_type
    if not isinstance(kind, _Assumed) and kind:
        if kind not in _KINDS:
            raise Invalid("project_type is `%.80s`, not one of %s" % (kind, ", ".join(_KINDS)))
        fields["project_type"] = kind
    if project.parent_project_uuid:
        parent = uuid_text(project.parent_project_uuid, "parent_project_uuid")
        if parent == fields["local_project_uuid"]:
            raise Invalid("parent_project_uuid is the project itself")
        fields["parent_project_uuid"] = parent
    return fields


def on_the_wire(fields: Dict[str, Any]) -> Dict[str, Any]:
    """The same as the daemon's socket takes it: a path that is not UTF-8 is spelled out beside its readable form."""
    if is_utf8(fields["root_path"]):
        return fields
    raw = os.fsencode(fields["root_path"])
    exact = quote(raw, safe="/-._~")
    return {**fields, "root_path": raw.decode("utf-8", "replace"), "root_path_exact": exact}


def real_path(path: Any) -> bytes:
    """A path without symbolic links, as the system has it; raises ``Invalid`` for what can be no path."""
    try:
        raw = os.fsencode(os.path.realpath(path))
    except (OSError, TypeError, ValueError) as error:
        raise Invalid("path is `%.80r`, which cannot be used: %s" % (path, error)) from None
    if len(raw) > _LONGEST_PATH or b"\0" in raw:
        raise Invalid("path is longer than %d bytes or contains a zero byte" % _LONGEST_PATH)
    return raw


def is_utf8(text: str) -> bool:
    """Whether a text can be written as UTF-8."""
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def registration_of(payload: Dict[str, Any]) -> ProjectRegistration:
    """The registration that a payload of the old queue stands for, with all its fields."""
    if not isinstance(payload, dict):
        raise Invalid("the payload is no JSON object")
    kind = payload.get("project_type")
    return ProjectRegistration(
        local_project_uuid=payload.get("local_project_uuid") or "",
        project_name=payload.get("project_name") or "",
        root_path=payload.get("root_path") or "",
        primary_language=payload.get("primary_language") or "",
        framework=payload.get("framework") or "",
        content_hash=payload.get("content_hash") or "",
        project_type=kind if kind else _Assumed("standalone"),
        parent_project_uuid=payload.get("parent_project_uuid"),
    )


def _root(root: Any) -> str:
    try:
        text = os.fsdecode(root)
    except TypeError:
        raise Invalid("root_path is `%.80r`, not a path" % (root,)) from None
    if not text:
        raise Invalid("root_path is empty")
    try:
        absolute = os.path.abspath(text)
        raw = os.fsencode(absolute)
    except (OSError, UnicodeError) as error:
        raise Invalid("root_path cannot be used: %s" % error) from None
    if len(raw) > _LONGEST_PATH or b"\0" in raw:
        raise Invalid("root_path is longer than %d bytes or contains a zero byte" % _LONGEST_PATH)
    return absolute


def _word(text: Any, field: str, longest: int) -> str:
    if text is None:
        return ""
    if not isinstance(text, str):
        raise Invalid("%s is `%.80r`, not a text" % (field, text))
    if not is_utf8(text):
        raise Invalid("%s cannot be written as UTF-8" % field)
    if len(text.encode("utf-8")) > longest:
        raise Invalid("%s is longer than %d bytes" % (field, longest))
    return text
