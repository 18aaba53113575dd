"""Keeps what the property-based tester asks for short and at home.

A request may ask the daemon to wait ten minutes, and it would; and a path may be the root of the machine's files, which is
nobody's to be searched by a test. Every second path is that of a folder that is there, else nearly all would be refused for
want of one. What the description does not allow is passed on as it is: it has to be refused.
"""

import os
import zlib

import schemathesis

LONGEST_MS = 100
LONGEST_WAIT = 600_000
LONGEST_PATH = 3_000
ROOT = os.environ["CODITECT_API_ROOT"]
PROJECTS = [ROOT + "/sample", ROOT + "/more/rust", ROOT + "/more/web"]


def at_home(path):
    if isinstance(path, str) and path.startswith(("/", "%2F", "%2f")) and len(path) < LONGEST_PATH:
        number = zlib.crc32(path.encode("utf-8", "surrogatepass"))
        return PROJECTS[number // 2 % len(PROJECTS)] if number % 2 else ROOT + path
    return path


def tamed(value):
    if isinstance(value, list):
        return [tamed(one) for one in value]
    if not isinstance(value, dict):
        return value
    value = {name: tamed(one) for name, one in value.items()}
    for name in ("root_path", "root_path_exact", "from", "path"):
        if name in value:
            value[name] = at_home(value[name])
    if isinstance(value.get("paths"), list):
        value["paths"] = [at_home(path) for path in value["paths"]]
    wait = value.get("wait_ms")
    if isinstance(wait, (int, float)) and not isinstance(wait, bool) and LONGEST_MS < wait <= LONGEST_WAIT:
        value["wait_ms"] = wait % LONGEST_MS
    return value


@schemathesis.hook
def before_call(context, case, **kwargs):
    case.body = tamed(case.body)
    if case.query:
        case.query = tamed(case.query)
