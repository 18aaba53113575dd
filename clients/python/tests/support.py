"""A scratch home, the built programs run in it, a dev cloud, strange servers, and patience."""

import contextlib
import json
import logging
import os
import shutil
import signal
import socket
import sqlite3
import subprocess
import tempfile
import threading
import time
import unittest
import urllib.request
from pathlib import Path
from unittest import mock

REPOSITORY = Path(__file__).resolve().parents[3]
#: How long a condition may take on a busy machine, in seconds.
PATIENCE = 30.0


def program(name):
    """Where a built program is."""
    folder = Path(os.environ.get("CODITECT_BIN_DIR") or REPOSITORY / "target" / "debug")
    path = folder / name
    if not path.is_file():
        raise AssertionError(
            "there is no `%s`; run `cargo build -p coditect-syncd -p coditect-devcloud`, or set CODITECT_BIN_DIR" % path
        )
    return str(path)


def until(what, ask):
    """Asks again and again until there is an answer."""
    begun = time.monotonic()
    while True:
        answer = ask()
        if answer:
            return answer
        if time.monotonic() - begun > PATIENCE:
            raise AssertionError("waited in vain until %s" % what)
        time.sleep(0.01)


class Scene(unittest.TestCase):
    """A test with a home, state folder and data folder of its own, in which nothing of the surroundings counts."""

    def setUp(self):
        self.home = Path(tempfile.mkdtemp(prefix="cs")).resolve()
        self.addCleanup(shutil.rmtree, self.home, ignore_errors=True)
        self.roots = self.home / "roots"
        self.roots.mkdir()
        self.state = self.home / "state" / "coditect-sync"
        self.data = self.home / "data"
        self.old_queue = self.data / "context-storage" / "sync_queue.db"
        self.old_cache = self.data / "context-storage" / "sessions.db"
        environment = {name: os.environ[name] for name in ("PATH", "TMPDIR", "LANG") if name in os.environ}
        environment.update(
            HOME=str(self.home),
            XDG_STATE_HOME=str(self.home / "state"),
            CODITECT_DATA_DIR=str(self.data),
            GIT_CONFIG_GLOBAL="/dev/null",
            GIT_CONFIG_NOSYSTEM="1",
        )
        self.programs = {name: program(name) for name in ("coditect-syncd", "coditect-devcloud")}
        patch = mock.patch.dict(os.environ, environment, clear=True)
        patch.start()
        self.addCleanup(patch.stop)
        logging.disable(logging.CRITICAL)
        self.addCleanup(logging.disable, logging.NOTSET)

    def project(self, name):
        """Makes a plain project: a folder with a manifest."""
        root = self.roots / name
        (root / "src").mkdir(parents=True)
        (root / "Cargo.toml").write_text('[package]\nname = "%s"\n' % name)
        (root / "src" / "lib.rs").write_text("//! Nothing.\n")
        return str(root)

    def folder(self, name):
        """Makes a folder outside the roots, which discovery does not look at."""
        path = self.home / "elsewhere" / name
        path.mkdir(parents=True)
        return str(path)

    def configure(self, discovery=None, **cloud_sync):
        """Writes the configuration file."""
        file = self.home / ".coditect" / "config" / "config.json"
        file.parent.mkdir(parents=True, exist_ok=True)
        quick = {"retry_initial": "100ms", "retry_max": "1s", "item_retry_initial": "200ms"}
        daemon = {"discovery": {"roots": [str(self.roots)], "debounce": "200ms", **(discovery or {})}}
        file.write_text(json.dumps({"cloud_sync": {**quick, **cloud_sync}, "sync_daemon": daemon}))
        file.chmod(0o600)

    def cloud(self):
        """Starts a dev cloud and configures the daemon for it."""
        cloud = Cloud(self)
        self.configure(api_url=cloud.url, auth_token=cloud.token)
        return cloud

    def daemon(self, *flags, socket_path=None):
        """Starts the daemon and waits until it answers."""
        return Process(self, "coditect-syncd", flags, socket_path or self.state / "sync.sock")

    def rows(self):
        """What is in the old queue: operation, payload and the rest, oldest first."""
        if not self.old_queue.exists():
            return []
        with contextlib.closing(sqlite3.connect(str(self.old_queue), timeout=PATIENCE)) as connection:
            connection.row_factory = sqlite3.Row
            found = connection.execute("SELECT * FROM project_sync_queue ORDER BY id").fetchall()
        return [{**dict(row), "payload": json.loads(row["payload"])} for row in found]


class Process:
    """A running daemon; killed at the end of the test."""

    def __init__(self, scene, name, flags, socket_path):
        self.log = scene.home / ("log-%d" % len(list(scene.home.iterdir())))
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen(
                [scene.programs[name], *flags], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=log
            )
        scene.addCleanup(self.kill)
        self.pid = self.process.pid

        def answers():
            if self.process.poll() is not None:
                raise AssertionError("the daemon ended: %s" % self.log.read_text())
            with socket.socket(socket.AF_UNIX) as connection:
                connection.settimeout(PATIENCE)
                if connection.connect_ex(str(socket_path)) != 0:
                    return False
                connection.sendall(b"GET /v1/ready HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
                return b" 200 " in connection.recv(64)

        until("the daemon answers", answers)

    def signal(self, number):
        self.process.send_signal(number)

    def stop(self):
        """Ends it as a person would."""
        self.signal(signal.SIGTERM)
        self.process.wait(PATIENCE)

    def kill(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait(PATIENCE)


class Cloud:
    """A dev cloud; killed at the end of the test."""

    def __init__(self, scene, tenant="acme"):
        self.process = subprocess.Popen(
            [scene.programs["coditect-devcloud"], "--listen", "127.0.0.1:0", "--tenant", tenant],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        scene.addCleanup(self.end)
        self.url = self.process.stdout.readline().decode().split(" at ")[1].split(",")[0]
        self.token = self.process.stdout.readline().decode().split(": ")[1].strip()

    def projects(self):
        """What it knows."""
        return self._ask("GET", "/_projects")

    def ledger(self):
        """What it did, in order."""
        return self._ask("GET", "/_ledger")

    def fail(self, fault):
        """Answers every request of the API so, from now on."""
        self._ask("PUT", "/_faults", [fault])

    def heal(self):
        """Nothing goes wrong any more."""
        self._ask("DELETE", "/_faults")

    def _ask(self, method, path, body=None):
        content = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.url + path, content, {"Content-Type": "application/json"}, method=method)
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(request, timeout=PATIENCE) as answer:
            text = answer.read()
        return json.loads(text) if text else None

    def end(self):
        self.process.kill()
        self.process.wait(PATIENCE)
        self.process.stdout.close()


class Stranger:
    """Listens on a Unix socket and behaves as a function of a connection says."""

    def __init__(self, scene, path, behave):
        path.parent.mkdir(parents=True, exist_ok=True)
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(str(path))
        self.listener.listen()
        self.behave = behave
        self.over = threading.Event()
        thread = threading.Thread(target=self._serve, daemon=True)
        thread.start()

        def end():
            self.over.set()
            self.listener.shutdown(socket.SHUT_RDWR)
            thread.join(PATIENCE)
            self.listener.close()
            path.unlink()

        scene.addCleanup(end)

    def _serve(self):
        while not self.over.is_set():
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            with connection, contextlib.suppress(OSError):
                connection.settimeout(PATIENCE)
                self.behave(connection)


def answering(status, body, kind="application/json"):
    """Behaves like a server that answers everything so."""
    head = "HTTP/1.1 %d X\r\ncontent-type: %s\r\ncontent-length: %d\r\n\r\n" % (status, kind, len(body))

    def behave(connection):
        connection.recv(64 * 1024)
        connection.sendall(head.encode() + body)

    return behave
