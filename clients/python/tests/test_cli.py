"""The old client's command line: the same flags, words and exit codes."""

import os
import subprocess
import sys
from pathlib import Path
from unittest import mock

from .support import Scene, Stranger, answering

SOURCES = Path(__file__).resolve().parents[1] / "src"
LOCAL = "00000000-0000-4000-8000-000000000001"


class CommandLine(Scene):
    def run_it(self, *arguments, cwd=None):
        environment = {**os.environ, "PYTHONPATH": str(SOURCES), "PYTHONDONTWRITEBYTECODE": "1"}
        ran = subprocess.run(
            [sys.executable, "-W", "error", "-m", "coditect_sync_client", *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=str(cwd or self.home),
            env=environment,
            timeout=60,
            check=False,
        )
        return ran.returncode, ran.stdout.decode(), ran.stderr.decode()

    def test_a_project_is_registered_and_resolved(self):
        cloud = self.cloud()
        self.daemon()
        root = self.project("api")
        code, out, _ = self.run_it("--register", LOCAL, cwd=root)
        (known,) = [one for one in cloud.projects() if one["local_project_uuid"] == LOCAL]
        expected = "Result: SyncResult(success=True, cloud_uuid='%s', status='registered', error=None, queued=False)\n"
        self.assertEqual((code, out), (0, expected % known["cloud_uuid"]))
        self.assertEqual((known["project_name"], known["root_path"]), ("api", root))
        self.assertEqual(self.run_it("--resolve", LOCAL)[:2], (0, "Cloud UUID: %s\n" % known["cloud_uuid"]))
        self.assertEqual(self.run_it("--resolve", "nonsense")[:2], (0, "Not registered\n"))
        self.assertEqual(self.run_it("--process-queue")[:2], (0, "Processed 0 items from queue\n"))
        empty = 'Queue status: {\n  "queue_size": 0,\n  "pending": 0\n}\n'
        self.assertEqual(self.run_it("--queue-status", "--api-url", cloud.url)[:2], (0, empty))
        code, out, _ = self.run_it("--register", LOCAL, "--api-url", "http://127.0.0.1:1", cwd=root)
        self.assertEqual(code, 0)
        self.assertIn("status='error', error='the daemon registers with %s" % cloud.url, out)

    def test_without_a_daemon_it_is_queued_and_said_how_to_start_one(self):
        code, out, error = self.run_it("--register", LOCAL)
        self.assertEqual(code, 0)
        self.assertIn("Result: SyncResult(success=False, cloud_uuid=None, status='queued', error='no daemon", out)
        self.assertIn("queued=True)", out)
        self.assertIn("coditect-sync service start", error)
        self.assertEqual(self.rows()[0]["payload"]["root_path"], str(self.home))
        one = 'Queue status: {\n  "queue_size": 1,\n  "pending": 1\n}\n'
        self.assertEqual(self.run_it("--queue-status")[:2], (0, one))
        self.assertEqual(self.run_it("--resolve", LOCAL)[:2], (0, "Not registered\n"))
        self.assertEqual(self.run_it("-v", "--process-queue")[:2], (0, "Processed 0 items from queue\n"))

    def test_what_is_wrong_with_a_daemon_comes_with_what_to_do_about_it(self):
        for name, behave, words in (
            ("silent", lambda connection: connection.recv(1) and None, "coditect-sync doctor"),
            ("strange", answering(200, b"x"), "check CODITECT_SYNC_SOCKET"),
        ):
            Stranger(self, self.home / name, behave)
            code, out, error = self.run_it("--resolve", LOCAL, "--socket", str(self.home / name))
            self.assertEqual((code, out), (0, "Not registered\n"))
            self.assertIn(words, error)
            self.assertNotIn("service start", error)

    def test_wrong_usage_and_wrong_surroundings(self):
        self.assertEqual(self.run_it()[:2], (0, ""))
        code, _, error = self.run_it("--no-such-flag")
        self.assertEqual(code, 2)
        self.assertIn("usage: coditect-sync-client", error)
        for variable in ("CODITECT_CONFIG", "CODITECT_SYNC_STATE_DIR", "CODITECT_SYNC_SOCKET", "CODITECT_DATA_DIR"):
            with mock.patch.dict(os.environ, {variable: "relative"}):
                for arguments in (["--queue-status"], ["--register", LOCAL]):
                    code, out, error = self.run_it(*arguments)
                    self.assertEqual((code, out), (1, ""), variable)
                    self.assertIn(variable, error)
                    self.assertNotIn("Traceback", error)
