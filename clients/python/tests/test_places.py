"""Where the daemon, the configuration and this machine's identity are looked for."""

import json
import os
import sys
import threading
import uuid
from pathlib import Path
from unittest import mock

from coditect_sync_client import (
    CloudProjectClient,
    Daemon,
    NoDaemon,
    OfflineQueue,
    PlaceError,
    ProjectRegistration,
    get_coditect_data_dir,
    get_machine_id,
    get_sessions_db_path,
    paths,
)

from .support import Scene, Stranger, answering


class Places(Scene):
    def set(self, **variables):
        patch = mock.patch.dict(os.environ, variables)
        patch.start()
        self.addCleanup(patch.stop)

    def test_an_argument_beats_the_environment_beats_the_default(self):
        self.assertEqual(Daemon().socket, self.state / "sync.sock")
        self.set(CODITECT_SYNC_STATE_DIR="/state")
        self.assertEqual(Daemon().socket, Path("/state/sync.sock"))
        self.assertEqual(Daemon(state_dir=Path("/other")).socket, Path("/other/sync.sock"))
        self.set(CODITECT_SYNC_SOCKET="/environment.sock")
        self.assertEqual(Daemon(state_dir=Path("/other")).socket, Path("/environment.sock"))
        self.assertEqual(Daemon("/argument.sock").socket, Path("/argument.sock"))
        self.assertEqual(CloudProjectClient(socket=Path("/argument.sock")).daemon.socket, Path("/argument.sock"))
        self.set(CODITECT_SYNC_SOCKET="")
        self.assertEqual(Daemon().socket, Path("/state/sync.sock"), "an empty value is none")

    def test_with_a_home_alone_everything_is_below_it(self):
        for name in ("XDG_STATE_HOME", "CODITECT_DATA_DIR"):
            del os.environ[name]
        mac = self.home / "Library/Application Support/coditect-sync/sync.sock"
        other = self.home / ".local/state/coditect-sync/sync.sock"
        with mock.patch.object(sys, "platform", "darwin"):
            self.assertEqual(Daemon().socket, mac)
        with mock.patch.object(sys, "platform", "linux"):
            self.assertEqual(Daemon().socket, other)
            self.set(XDG_STATE_HOME="relative")
            self.assertEqual(Daemon().socket, other)
        self.assertEqual(get_coditect_data_dir(), self.home / ".coditect-data")
        self.assertEqual(paths.config_path(), self.home / ".coditect/config/config.json")
        sessions = self.home / ".coditect-data/context-storage/sessions.db"
        self.assertEqual(get_sessions_db_path(), sessions)
        self.assertTrue(sessions.parent.is_dir())
        self.set(CODITECT_CONFIG="/c.json")
        self.assertEqual(paths.config_path(), Path("/c.json"))

    def test_the_socket_is_not_moved_by_what_differs_between_login_and_service(self):
        before = Daemon().socket
        self.set(XDG_RUNTIME_DIR="/run/user/1", TMPDIR="/tmp/x", USER="eve")
        self.assertEqual(Daemon().socket, before)

    def test_places_that_cannot_be_used_say_why(self):
        for variable, ask in (
            ("CODITECT_SYNC_SOCKET", lambda: Daemon().status()),
            ("CODITECT_SYNC_STATE_DIR", lambda: Daemon().status()),
            ("CODITECT_DATA_DIR", get_machine_id),
        ):
            with mock.patch.dict(os.environ, {variable: "relative"}), self.assertRaises(PlaceError) as caught:
                ask()
            self.assertIn(variable, str(caught.exception))
        with mock.patch.dict(os.environ, {"CODITECT_SYNC_SOCKET": "relative", "CODITECT_SYNC_STATE_DIR": "relative"}):
            self.assertEqual(Daemon("/socket", "/state").socket, Path("/socket"), "an argument beats it")
        for variable in ("CODITECT_CONFIG", "CODITECT_SYNC_STATE_DIR", "CODITECT_SYNC_SOCKET", "CODITECT_DATA_DIR"):
            with mock.patch.dict(os.environ, {variable: "relative"}), self.assertRaises(PlaceError) as caught:
                CloudProjectClient()
            self.assertIn("%s is `relative`" % variable, str(caught.exception))
            with mock.patch.dict(os.environ, {variable: "relative"}), self.assertRaises(PlaceError):
                OfflineQueue()
            with mock.patch.dict(os.environ, {variable: ""}):
                self.assertEqual(CloudProjectClient().get_queue_status()["queue_size"], 0)
        with self.assertRaises(PlaceError) as caught:
            Daemon("/" + "x" * 120).status()
        self.assertIn("121 bytes", str(caught.exception))
        self.assertEqual(CloudProjectClient(socket="/" + "x" * 120).get_queue_status()["queue_size"], 0)

    def test_a_daemon_that_listens_elsewhere_is_found_by_its_lock_file_unless_a_socket_was_named(self):
        elsewhere = self.home / "elsewhere.sock"
        Stranger(self, elsewhere, answering(200, b'{"pid": 7}'))
        self.state.mkdir(parents=True)
        lock = self.state / "daemon.lock"
        lock.write_text(json.dumps({"pid": 7, "socket": str(elsewhere)}))
        self.assertEqual(Daemon().status(), {"pid": 7})
        with self.assertRaises(NoDaemon):
            Daemon(self.state / "sync.sock").status()
        for content in ("", "{", "[]", '{"socket": 5}', '{"socket": "relative"}', '{"socket": "/nowhere"}'):
            lock.write_text(content)
            with self.assertRaises(NoDaemon):
                Daemon().status()
        lock.write_text(json.dumps({"socket": str(elsewhere)}))
        with mock.patch.object(os, "geteuid", lambda: 4711), self.assertRaises(NoDaemon):
            Daemon().status()

    def test_the_real_daemons_socket_is_found_by_its_lock_file(self):
        elsewhere = self.home / "moved" / "s.sock"
        elsewhere.parent.mkdir(mode=0o700)
        process = self.daemon("--dev", "--root", str(self.roots), "--socket", str(elsewhere), socket_path=elsewhere)
        self.assertEqual(Daemon().status()["pid"], process.pid)

    def test_an_identity_is_made_once_for_all_and_never_over_another(self):
        found = []
        threads = [threading.Thread(target=lambda: found.append(get_machine_id())) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(len(set(found)), 1)
        self.assertEqual([path.name for path in self.data.iterdir()], ["machine-id.json"])
        self.configure()
        self.daemon("--dev", "--root", str(self.roots))
        self.assertEqual(Daemon().status()["machine_uuid"], found[0])
        for content in ("", "{}", '{"machine_uuid": 3}', '{"machine_uuid": "x"}', "[]"):
            (self.data / "machine-id.json").write_text(content)
            with self.assertRaises(PlaceError):
                get_machine_id()
            self.assertEqual((self.data / "machine-id.json").read_text(), content)
        upper = str(uuid.uuid4()).upper()
        (self.data / "machine-id.json").write_text(json.dumps({"machine_uuid": upper}))
        self.assertEqual(get_machine_id(), upper.lower())

    def test_the_machines_uuid_can_be_assigned_as_before_and_changes_no_registration(self):
        client = CloudProjectClient()
        own, other = client.machine_uuid, str(uuid.uuid4())
        client.machine_uuid = other
        self.assertEqual((client.machine_uuid, CloudProjectClient().machine_uuid), (other, own))
        client.register_project(ProjectRegistration(str(uuid.uuid4()), "api", str(self.home)))
        self.assertEqual(self.rows()[0]["payload"]["machine_uuid"], own)

    def test_the_configuration_is_read_as_the_old_client_did_and_a_broken_one_is_survived(self):
        client = CloudProjectClient()
        self.assertEqual((client.api_url, client.auth_token), ("https://api.coditect.ai", None))
        self.configure(api_url="https://a.example", auth_token="secret")
        client = CloudProjectClient()
        self.assertEqual((client.api_url, client.auth_token), ("https://a.example", "secret"))
        self.assertNotIn("secret", repr(client))
        client = CloudProjectClient("https://b.example")
        self.assertEqual((client.api_url, client.auth_token), ("https://b.example", "secret"))
        other = self.home / "other.json"
        for text in ("", "[]", "{", "\xff", '{"cloud_sync": 5}', '{"cloud_sync": {"api_url": 5}}', "[" * 100_000):
            other.write_text(text, encoding="latin-1")
            self.assertEqual(CloudProjectClient(config_path=other).api_url, "https://api.coditect.ai")
