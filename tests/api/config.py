"""Tells the property-based tester what only a running daemon knows, and what a description cannot say.

    config.py URL PROJECT FILE
"""

import json
import os
import sys
import tempfile
import time
import urllib.request

CONFIG = """\
[[operations]]
include-path = "/v1/projects/{{local_uuid}}"
parameters = {{ "path.local_uuid" = "{local}" }}

[[operations]]
include-path-regex = "/v1/queue/items/[{{]id[}}].*"
exclude-method = "DELETE"
parameters = {{ "path.id" = {entry} }}

# A project whose folder is not there is described rightly and refused all the same.
[[operations]]
include-path = "/v1/projects"
include-method = "POST"
[operations.checks.positive_data_acceptance]
expected-statuses = ["2xx", "3xx", 401, 403, 404, 409, 422, 429, "5xx"]

# Their body may be left out, which the tester takes for a violation.
[[operations]]
include-path-regex = "/v1/(discovery/scan|import|queue/flush|pause)"
[operations.checks.negative_data_rejection]
enabled = false

# These two ask the cloud, and say 503 where it was not asked within the wait, which may be nothing.
[[operations]]
include-path = "/v1/registrations/{{cloud_uuid}}"
parameters = {{ "path.cloud_uuid" = "{cloud}" }}
checks = {{ not_a_server_error = {{ expected-statuses = ["2xx", "3xx", "4xx", 503] }} }}

# `path` belongs to one of the three goals, which OpenAPI has no words for either.
[[operations]]
include-path = "/v1/wait"
[operations.checks.positive_data_acceptance]
enabled = false

# Takes one of two parameters, not both and not neither, which OpenAPI has no words for.
[[operations]]
include-path = "/v1/resolve"
[operations.checks.positive_data_acceptance]
enabled = false
[operations.checks.not_a_server_error]
expected-statuses = ["2xx", "3xx", "4xx", 503]
"""


def asked(url, path, document=None):
    body = None if document is None else json.dumps(document).encode()
    request = urllib.request.Request(url + path, body, {"Content-Type": "application/json"})
    return json.load(urllib.request.urlopen(request, timeout=10))


def registered(url, project):
    for _ in range(50):
        answer = asked(url, "/v1/projects", {"root_path": project, "wait_ms": 5_000})
        if answer["cloud_uuid"]:
            return answer
        time.sleep(0.1)
    sys.exit(f"the dev cloud does not take a project: {answer}")


def waiting(url, project):
    """An entry that waits, until the tester makes the daemon send it or drops it. What was sent once waits no more, so it is
    of a new project each time."""
    project = tempfile.mkdtemp(prefix=os.path.basename(project), dir=os.path.dirname(project))
    asked(url, "/v1/pause", {})
    asked(url, "/v1/projects", {"root_path": project})
    return asked(url, "/v1/queue/items")["items"][0]["id"]


if __name__ == "__main__":
    url, project, file = sys.argv[1:]
    asked(url, "/v1/resume", {})
    answer = registered(url, project)
    entry = waiting(url, project + "-waiting")
    with open(file, "w", encoding="utf-8") as config:
        config.write(CONFIG.format(local=answer["local_project_uuid"], cloud=answer["cloud_uuid"], entry=entry))
