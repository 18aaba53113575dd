"""The old queue and cache classes as views of the daemon's, and of the old files where there is no daemon."""

import contextlib
import json
import sqlite3
from unittest import mock

from coditect_sync_client import (
    CloudProjectClient,
    Daemon,
    Invalid,
    OfflineQueue,
    OldQueueError,
    ProjectRegistration,
    UUIDCache,
    oldfiles,
)

from .support import Scene, Stranger, answering, until

LOCAL = "00000000-0000-4000-8000-000000000001"
CLOUD = "00000000-0000-4000-8000-0000000000c1"
PARENT = "00000000-0000-4000-8000-000000000009"


class Queue(Scene):
    def payload(self, **fields):
        return {
            "local_project_uuid": LOCAL,
            "project_name": "api",
            "root_path": self.root,
            "primary_language": "Rust",
            "framework": "axum",
            "content_hash": "h1",
            "project_type": "submodule",
            "parent_project_uuid": PARENT,
            **fields,
        }

    def setUp(self):
        super().setUp()
        self.root = self.folder("api")

    def test_it_is_the_daemons_where_there_is_one(self):
        cloud = self.cloud()
        cloud.fail({"fault": {"status": {"code": 503}}})
        self.daemon()
        queue = OfflineQueue()
        number = queue.enqueue("register", self.payload())
        self.assertGreater(number, 0)
        (found,) = until("it is ready", queue.get_pending)
        machine = CloudProjectClient().machine_uuid
        self.assertEqual(found, (number, "register", {**self.payload(), "machine_uuid": machine}))
        self.assertEqual(queue.queue_size(), 1)
        self.assertEqual(self.rows(), [])
        queue.mark_failed(number, "the daemon knows better")
        self.assertEqual(queue.queue_size(), 1)
        until("it is not being sent", lambda: (queue.mark_success(number), queue.queue_size() == 0)[1])
        queue.mark_success(number)

    def test_what_the_cloud_has_already_need_not_wait(self):
        self.cloud()
        self.daemon()
        client = CloudProjectClient()
        whole = self.payload()
        client.register_project(ProjectRegistration(**whole))
        self.assertEqual(client.queue.enqueue("register", whole), 0)

    def test_it_is_the_old_file_where_there_is_none(self):
        for queue in (OfflineQueue(), OfflineQueue(self.home / "mine.db")):
            self.assertEqual((queue.get_pending(), queue.queue_size()), ([], 0))
            self.assertFalse(queue.db_path.exists(), "nobody queued anything")
            first = queue.enqueue("register", self.payload())
            second = queue.enqueue("register", self.payload(local_project_uuid=PARENT, parent_project_uuid=None))
            self.assertTrue(second < first < 0, "no number of the file is one of the daemon's")
            self.assertEqual([one[0] for one in queue.get_pending()], [first, second])
            self.assertEqual([one[0] for one in queue.get_pending(1)], [first])
            for _ in range(9):
                queue.mark_failed(first, "in vain")
            self.assertEqual(len(queue.get_pending()), 2, "nothing is given up")
            queue.mark_success(first)
            self.assertEqual([one[0] for one in queue.get_pending()], [second])

    def test_a_file_that_cannot_be_read_hides_nothing_of_the_daemons(self):
        counts = {"ready": 1, "in_flight": 1, "delayed": 2, "parked": 0, "dead": 1}
        path = self.home / "daemon"
        Stranger(self, path, answering(200, json.dumps(counts).encode()))
        client = CloudProjectClient(socket=path)
        self.old_queue.parent.mkdir(parents=True)
        self.old_queue.write_bytes(b"this is no database at all" * 100)
        self.assertEqual(client.get_queue_status(), {"queue_size": 5, "pending": 2})
        self.old_queue.unlink()
        OfflineQueue(self.old_queue).enqueue("register", self.payload())
        self.assertEqual(client.get_queue_status(), {"queue_size": 6, "pending": 3})
        with contextlib.closing(sqlite3.connect(str(self.old_queue), isolation_level=None)) as another:
            another.execute("BEGIN EXCLUSIVE")
            with mock.patch.object(oldfiles, "_BUSY", 0.0):
                self.assertEqual(client.get_queue_status(), {"queue_size": 5, "pending": 2})
                for queue in (OfflineQueue(), OfflineQueue(self.old_queue)):
                    with self.assertRaises(OldQueueError):
                        queue.queue_size()

    def test_as_many_entries_are_answered_as_were_asked_for(self):
        asked = []

        def behave(connection):
            query = connection.recv(64 * 1024).split(b" ")[1].decode().split("?")[1]
            asked.append(query)
            fields = dict(pair.split("=") for pair in query.split("&"))
            begin, limit = int(fields.get("cursor", 0)), int(fields["limit"])
            end = min(begin + limit, 2500)
            page = {"items": list(range(begin, end)), "next_cursor": str(end) if end < 2500 else None}
            text = json.dumps(page).encode()
            head = "HTTP/1.1 200 X\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n" % len(text)
            connection.sendall(head.encode() + text)

        path = self.home / "daemon"
        Stranger(self, path, behave)
        for limit, count, cursor, requests in (
            (-1, 0, None, []),
            (0, 0, None, []),
            (10, 10, "10", ["limit=10"]),
            (1000, 1000, "1000", ["limit=1000"]),
            (1500, 1500, "1500", ["limit=1000", "limit=500&cursor=1000"]),
            (9999, 2500, None, ["limit=1000", "limit=1000&cursor=1000", "limit=1000&cursor=2000"]),
        ):
            page = Daemon(path).queue_items(limit=limit)
            self.assertEqual((page["items"], page["next_cursor"]), (list(range(count)), cursor), limit)
            self.assertEqual(asked, requests)
            asked.clear()
        self.assertEqual(OfflineQueue(daemon=Daemon(self.home / "nobody")).get_pending(0), [])

    def test_what_could_never_be_sent_is_refused_with_and_without_a_daemon(self):
        def check():
            queue = OfflineQueue()
            for operation, payload in (
                ("delete", self.payload()),
                ("register", {}),
                ("register", None),
                ("register", self.payload(local_project_uuid="x")),
                ("register", self.payload(root_path=None)),
                ("register", self.payload(parent_project_uuid=LOCAL)),
            ):
                with self.assertRaises(Invalid):
                    queue.enqueue(operation, payload)
            self.assertEqual(queue.queue_size(), 0)

        check()
        self.cloud()
        self.daemon()
        check()
        with self.assertRaises(Invalid):
            OfflineQueue().enqueue("register", self.payload(root_path=str(self.home / "gone")))


class Registrations(Scene):
    """A daemon that passes on what the cloud says of a registration, and one that does not."""

    def ask(self, answers):
        def behave(connection):
            target = connection.recv(64 * 1024).split(b" ")[1].decode()
            document, status, kind = answers.get(target.split("?")[0], ({}, 404, "application/problem+json"))
            text = json.dumps(document).encode()
            head = "HTTP/1.1 %d X\r\ncontent-type: %s\r\ncontent-length: %d\r\n\r\n" % (status, kind, len(text))
            connection.sendall(head.encode() + text)

        path = self.home / ("daemon-%d" % len(list(self.home.iterdir())))
        Stranger(self, path, behave)
        return CloudProjectClient(socket=path).get_registration_status(CLOUD.upper())

    def test_the_clouds_own_words_come_first(self):
        kind = "application/json"
        known = {"cloud_uuid": CLOUD, "local_project_uuid": LOCAL, "registration_status": "registered"}
        page = ({"projects": [{**known, "project_name": "api"}], "next_cursor": None}, 200, kind)
        local = {"/v1/status": ({"tenant_id": "acme"}, 200, kind), "/v1/projects": page}
        told = {"cloud_uuid": CLOUD, "registered_at": "2026-01-01T00:00:00Z", "of_tomorrow": [1]}
        route = "/v1/registrations/" + CLOUD
        answer = {"cloud_uuid": CLOUD, "registration_status": "", "told": told}
        self.assertEqual(self.ask({**local, route: (answer, 200, kind)}), told)
        routes = {"/v1/openapi.json": ({"paths": {"/v1/registrations/{cloud_uuid}": {}}}, 200, kind)}
        self.assertIsNone(self.ask({**local, **routes}), "the cloud does not know it")
        routes = {"/v1/openapi.json": ({"paths": {"/v1/projects": {}}}, 200, kind)}
        self.assertEqual(self.ask({**local, **routes}), {**known, "tenant_id": "acme"})


class Cache(Scene):
    def old_rows(self):
        with contextlib.closing(sqlite3.connect(str(self.old_cache))) as connection:
            columns = "local_uuid, cloud_uuid, tenant_id"
            return connection.execute("SELECT %s FROM cloud_project_cache" % columns).fetchall()

    def test_it_answers_what_the_daemon_knows_and_waits_for_nobody(self):
        cloud = self.cloud()
        self.daemon()
        client = CloudProjectClient()
        result = client.register_project(ProjectRegistration(LOCAL, "api", self.folder("api")))
        cloud.fail({"fault": {"latency": {"ms": 20_000}}})
        self.assertEqual(UUIDCache().get(LOCAL), result.cloud_uuid)
        self.assertIsNone(UUIDCache().get(PARENT))
        self.assertIsNone(UUIDCache().get("nonsense"))
        self.assertFalse(self.old_cache.exists(), "nothing is written by asking")
        client.cache.invalidate(LOCAL)
        self.assertEqual(client.cache.get(LOCAL), result.cloud_uuid, "what is known holds until the cloud says else")

    def test_without_a_daemon_nothing_is_answered_that_may_be_anothers(self):
        cache = UUIDCache()
        cache.set(LOCAL, CLOUD, "acme")
        self.assertIsNone(cache.get(LOCAL))

    def test_what_is_set_keeps_its_tenant_and_comes_to_the_daemon(self):
        self.cloud()
        cache = UUIDCache()
        cache.set(LOCAL, CLOUD, "acme")
        cache.set(LOCAL, CLOUD)
        self.assertEqual(self.old_rows(), [(LOCAL, CLOUD, "acme")])
        cache.set(PARENT, CLOUD, "other")
        self.daemon()
        # Who asks before the mapping was taken over has the cloud asked, and that one knows nothing of it.
        status = CloudProjectClient().daemon.status
        until("the mapping was taken over", lambda: status()["cache"]["entries"] == 1)
        self.assertEqual(cache.get(LOCAL), CLOUD)
        self.assertIsNone(cache.get(PARENT), "it is another tenant's")
        cache.invalidate(LOCAL)
        self.assertEqual(self.old_rows(), [(PARENT, CLOUD, "other")])
