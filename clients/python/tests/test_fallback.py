"""Without a daemon a registration goes where the old client put it, and the next daemon takes it, once."""

import contextlib
import json
import os
import sqlite3
import stat
import threading
import uuid
from unittest import mock

from coditect_sync_client import CloudProjectClient, OfflineQueue, ProjectRegistration

from .support import Scene, Stranger, answering, until

LOCAL = "00000000-0000-4000-8000-000000000001"
PARENT = "00000000-0000-4000-8000-000000000009"


class Fallback(Scene):
    def whole(self, local=LOCAL, name="api", **fields):
        stated = {
            "primary_language": "Rust",
            "framework": "axum",
            "content_hash": "h1",
            "project_type": "submodule",
            "parent_project_uuid": PARENT,
        }
        root = self.home / "elsewhere" / name
        root.mkdir(parents=True, exist_ok=True)
        return ProjectRegistration(local, name, str(root), **{**stated, **fields})

    def test_a_row_has_every_field_and_the_old_clients_table(self):
        client = CloudProjectClient()
        result = client.register_project(self.whole())
        self.assertEqual((result.success, result.status, result.queued), (False, "queued", True))
        self.assertIn("no daemon is running", result.error)
        machine = json.loads((self.data / "machine-id.json").read_text())["machine_uuid"]
        (row,) = self.rows()
        self.assertEqual(
            row["payload"],
            {
                "local_project_uuid": LOCAL,
                "project_name": "api",
                "machine_uuid": machine,
                "root_path": str(self.home / "elsewhere" / "api"),
                "primary_language": "Rust",
                "framework": "axum",
                "content_hash": "h1",
                "project_type": "submodule",
                "parent_project_uuid": PARENT,
                "given": True,
            },
        )
        kept = [row[name] for name in ("id", "operation", "retry_count", "max_retries", "last_error")]
        self.assertEqual(kept, [1, "register", 0, 5, None])
        with contextlib.closing(sqlite3.connect(str(self.old_queue))) as connection:
            due = "SELECT count(*) FROM project_sync_queue WHERE next_retry_at <= ? AND created_at <= datetime('now','+1 second')"
            self.assertEqual(connection.execute(due, ("9999",)).fetchone(), (1,))
            names = [found[1] for found in connection.execute("PRAGMA table_info(project_sync_queue)")]
            indexes = [found[1] for found in connection.execute("PRAGMA index_list(project_sync_queue)")]
        self.assertEqual(
            names,
            "id operation payload retry_count max_retries next_retry_at created_at last_error".split(),
        )
        self.assertEqual(indexes, ["idx_next_retry"])
        self.assertEqual(client.get_queue_status(), {"queue_size": 1, "pending": 1})

    def test_a_row_says_that_it_is_to_be_sent_whatever_the_cloud_has_only_where_that_was_asked(self):
        client = CloudProjectClient()
        for force in (True, False, True):
            self.assertTrue(client.register_project(self.whole(), force=force).queued)
        marks = [row["payload"].get("force", "absent") for row in self.rows()]
        self.assertEqual(marks, ["absent", True], "the newest is the last, and says nothing twice")
        Stranger(self, self.state / "sync.sock", answering(200, b'{"cloud": {"state": "online"}, "results": {}}'))
        other = self.whole(PARENT, parent_project_uuid=None)
        self.assertIn("what became of it", client.register_project(other, force=True).error)
        self.assertIs(self.rows()[-1]["payload"]["force"], True, "also of what a daemon did not account for")

    def test_a_batch_keeps_all_fields_too_and_what_is_not_stated_stays_unsaid(self):
        bare = ProjectRegistration(PARENT, "", self.folder("bare"))
        results = CloudProjectClient().sync_projects([self.whole(), bare])
        self.assertEqual([result.queued for result in results.values()], [True, True])
        first, second = [row["payload"] for row in self.rows()]
        self.assertEqual((first["project_type"], first["parent_project_uuid"]), ("submodule", PARENT))
        self.assertNotIn("project_type", second, "nobody stated it")
        self.assertEqual((second["project_name"], second["content_hash"]), ("", ""))

    def test_a_queue_does_not_grow_by_repetition(self):
        client = CloudProjectClient()
        for _ in range(3):
            client.register_project(self.whole())
            client.register_project(self.whole(content_hash="h2"))
            self.assertEqual(client.process_queue(), 0)
        hashes = [row["payload"]["content_hash"] for row in self.rows()]
        self.assertEqual(hashes, ["h1", "h2"], "the newest is the last")

    def test_files_are_this_users_alone(self):
        previous = os.umask(0o022)
        self.addCleanup(os.umask, previous)
        CloudProjectClient().register_project(self.whole())
        modes = [stat.S_IMODE(path.stat().st_mode) for path in (self.old_queue.parent, self.old_queue)]
        self.assertEqual([oct(mode) for mode in modes], ["0o700", "0o600"])

    def test_every_database_is_closed_when_its_call_ends(self):
        connect, opened = sqlite3.connect, []

        def recorded(*arguments, **options):
            opened.append(connect(*arguments, **options))
            return opened[-1]

        with mock.patch.object(sqlite3, "connect", recorded):
            client = CloudProjectClient()
            client.register_project(self.whole())
            client.get_queue_status()
            client.queue.get_pending()
            client.cache.set(LOCAL, PARENT)
            client.cache.invalidate(LOCAL)
            self.old_queue.write_bytes(b"this is no database at all" * 100)
            client.register_project(self.whole())
        self.assertEqual(len(opened), 6)
        for connection in opened:
            with self.assertRaises(sqlite3.ProgrammingError):
                connection.execute("SELECT 1")

    def test_what_can_never_be_sent_is_an_error_and_not_kept(self):
        root = self.folder("api")
        client = CloudProjectClient()
        for registration, words in (
            (ProjectRegistration("", "x", root), "local_project_uuid"),
            (ProjectRegistration(str(uuid.UUID(int=0)), "x", root), "local_project_uuid"),
            (ProjectRegistration(LOCAL, "x", ""), "root_path is empty"),
            (ProjectRegistration(LOCAL, "x", root + "\0"), "zero byte"),
            (ProjectRegistration(LOCAL, "x", "/" + "a" * 5000), "longer than 4096 bytes"),
            (ProjectRegistration(LOCAL, "x" * 256, root), "project_name"),
            (ProjectRegistration(LOCAL, "\ud800", root), "project_name"),
            (ProjectRegistration(LOCAL, 5, root), "project_name"),
            (ProjectRegistration(LOCAL, "x", root, framework="f" * 129), "framework"),
            (ProjectRegistration(LOCAL, "x", root, project_type="library"), "project_type"),
            (ProjectRegistration(LOCAL, "x", root, parent_project_uuid="me"), "parent_project_uuid"),
            (ProjectRegistration(LOCAL, "x", root, parent_project_uuid=LOCAL), "the project itself"),
            # The old table's JSON cannot say this path.
            (ProjectRegistration(LOCAL, "x", os.fsdecode(os.fsencode(root) + b"\xff")), "not UTF-8"),
        ):
            result = client.register_project(registration)
            self.assertEqual((result.success, result.status, result.queued), (False, "error", False), words)
            self.assertIn(words, result.error)
        self.assertEqual(self.rows(), [])

    def test_a_relative_path_is_the_callers(self):
        os.makedirs(str(self.home / "here" / "api"))
        before = os.getcwd()
        self.addCleanup(os.chdir, before)
        os.chdir(str(self.home / "here"))
        CloudProjectClient().register_project(ProjectRegistration(LOCAL, "api", "api"))
        self.assertEqual(self.rows()[0]["payload"]["root_path"], str(self.home / "here" / "api"))

    def test_a_file_that_cannot_be_written_is_told_and_nothing_is_claimed(self):
        def check(words):
            result = CloudProjectClient().register_project(self.whole())
            self.assertEqual((result.success, result.status, result.queued), (False, "error", False))
            self.assertIn(words, result.error)
            self.assertEqual(CloudProjectClient().get_queue_status(), {"queue_size": 0, "pending": 0})

        self.old_queue.parent.mkdir(parents=True)
        self.old_queue.write_bytes(b"this is no database at all" * 100)
        check("not a database")
        self.old_queue.unlink()
        elsewhere = self.home / "other.db"
        self.old_queue.symlink_to(elsewhere)
        check("symbolic link")
        self.assertFalse(elsewhere.exists())
        self.old_queue.unlink()
        self.old_queue.parent.rmdir()
        self.old_queue.parent.write_text("a file")
        check("cannot use")

    def test_a_broken_machine_identity_is_kept_and_loses_nothing(self):
        self.data.mkdir()
        identity = self.data / "machine-id.json"
        identity.write_text("{}")
        self.assertTrue(CloudProjectClient().register_project(self.whole()).queued)
        self.assertEqual((self.rows()[0]["payload"]["machine_uuid"], identity.read_text()), ("", "{}"))

    def test_threads_and_processes_write_side_by_side(self):
        client = CloudProjectClient()
        results = []

        def register(number):
            local = str(uuid.UUID(int=number + 1))
            results.append(client.register_project(ProjectRegistration(local, "p", self.home)))

        threads = [threading.Thread(target=register, args=(number,)) for number in range(16)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual([result.queued for result in results], [True] * 16)
        self.assertEqual(len({row["payload"]["local_project_uuid"] for row in self.rows()}), 16)

    def test_the_next_daemon_takes_it_over_exactly_once(self):
        cloud = self.cloud()
        client = CloudProjectClient()
        client.register_project(self.whole(content_hash="h0"))
        client.register_project(self.whole())
        other = "00000000-0000-4000-8000-000000000002"
        client.sync_projects([self.whole(other, "web", project_type="monorepo", parent_project_uuid=None)])
        self.assertEqual(len(self.rows()), 3)

        self.daemon()
        until("both are in the cloud", lambda: len(cloud.projects()) == 2)
        until("the rows have left", lambda: not self.rows())
        until("nothing waits", lambda: client.get_queue_status() == {"queue_size": 0, "pending": 0})
        known = {one["local_project_uuid"]: one for one in cloud.projects()}
        names = ("project_name", "root_path", "primary_language", "framework", "content_hash", "project_type")
        expected = ["api", str(self.home / "elsewhere" / "api"), "Rust", "axum", "h1", "submodule"]
        self.assertEqual([known[LOCAL][name] for name in names], expected)
        self.assertEqual(known[LOCAL]["parent_project_uuid"], PARENT)
        self.assertEqual((known[other]["project_type"], known[other]["parent_project_uuid"]), ("monorepo", None))
        effects = sorted(entry["local_project_uuid"] for entry in cloud.ledger())
        self.assertEqual(effects, [LOCAL, other], "two rows of one project became one registration")

        # And what the daemon has, it answers as if it had been given to it.
        self.assertEqual(client.register_project(self.whole()).status, "cached")
        self.assertEqual(client.resolve_uuid(LOCAL), known[LOCAL]["cloud_uuid"])

    def test_a_change_while_the_daemon_was_away_wins_over_what_it_knew(self):
        cloud = self.cloud()
        process = self.daemon()
        client = CloudProjectClient()
        self.assertTrue(client.register_project(self.whole()).success)
        process.stop()
        # In the same second, most likely: the time of the row says more than the second.
        self.assertTrue(client.register_project(self.whole(content_hash="h2", project_type="monorepo")).queued)
        self.daemon()
        until("the change is in the cloud", lambda: cloud.projects()[0]["content_hash"] == "h2")
        until("nothing waits", lambda: client.get_queue_status() == {"queue_size": 0, "pending": 0})
        self.assertEqual(cloud.projects()[0]["project_type"], "monorepo")
        self.assertEqual(len(cloud.ledger()), 2, "and nothing is sent after it")

    def test_what_was_stated_without_a_daemon_stands_against_what_is_found_out(self):
        cloud = self.cloud()
        root = self.project("api")
        client = CloudProjectClient()
        stated = ProjectRegistration(LOCAL, "", root, primary_language="Forth")
        self.assertTrue(client.register_project(stated).queued)
        self.daemon()
        until("the row was taken over", lambda: not self.rows())

        def found_out():
            known = client.daemon.project(LOCAL)
            return known if known["content_hash"] and known["queue_item"] is None else None

        known = until("it was looked at, and nothing waits", found_out)
        self.assertEqual((known["primary_language"], known["given"]), ("Forth", ["primary_language"]))
        self.assertEqual((known["project_name"], known["project_type"]), ("api", "standalone"))
        (told,) = cloud.projects()
        self.assertEqual((told["primary_language"], told["content_hash"]), ("Forth", known["content_hash"]))

    def test_the_old_clients_own_rows_and_these_are_read_alike(self):
        queue = OfflineQueue(self.old_queue)
        number = queue.enqueue("register", {"local_project_uuid": LOCAL, "root_path": "/a", "project_name": "a"})
        with contextlib.closing(sqlite3.connect(str(self.old_queue))) as connection, connection:
            payload = json.dumps({"local_project_uuid": PARENT, "root_path": "/b"})
            connection.execute(
                "INSERT INTO project_sync_queue (operation, payload, next_retry_at) VALUES ('register', ?, ?)",
                (payload, "2036-01-01T00:00:00+00:00"),
            )
            connection.execute("INSERT INTO project_sync_queue (operation, payload) VALUES ('register', '{')")
        found = queue.get_pending()
        self.assertEqual([(one[0], one[2]["root_path"]) for one in found], [(number, "/a"), (number - 1, "/b")])
        self.assertEqual(queue.queue_size(), 3)

    def test_broken_rows_take_nobodys_place(self):
        queue = OfflineQueue(self.old_queue)
        first = queue.enqueue("register", {"local_project_uuid": LOCAL, "root_path": "/a"})
        queue.mark_success(first)
        with contextlib.closing(sqlite3.connect(str(self.old_queue))) as connection, connection:
            insert = "INSERT INTO project_sync_queue (operation, payload) VALUES ('register', %s)"
            for broken in ("'{'", "'[1]'", "x'ff'", "CAST(x'ff' AS TEXT)", "5"):
                connection.execute(insert % broken)
        for name in ("b", "c", "d"):
            queue.enqueue("register", {"local_project_uuid": LOCAL, "root_path": "/" + name})
        for limit, expected in ((-1, []), (0, []), (1, ["/b"]), (2, ["/b", "/c"]), (10, ["/b", "/c", "/d"])):
            found = queue.get_pending(limit)
            self.assertEqual([one[2]["root_path"] for one in found], expected, limit)
            self.assertTrue(all(one[1] == "register" for one in found))
        self.assertEqual(queue.queue_size(), 8, "what is broken stays for the daemon to set aside")
