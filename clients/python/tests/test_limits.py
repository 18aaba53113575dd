"""Nobody waits for ever and nothing raises: a stopped daemon, silence, garbage, trickles, full queues, many threads."""

import errno
import json
import os
import signal
import socket
import struct
import sys
import threading
import time
import uuid
from unittest import mock

from coditect_sync_client import (
    BadAnswer,
    CloudProjectClient,
    Daemon,
    Invalid,
    NoAnswer,
    NoDaemon,
    ProjectRegistration,
    Refused,
    wire,
)

from .support import Scene, Stranger, answering, until

LOCAL = "00000000-0000-4000-8000-000000000001"
STATUS = b'{"cloud": {"state": "online"}}'


class Limits(Scene):
    def setUp(self):
        super().setUp()
        self.socket = self.state / "sync.sock"
        self.registration = ProjectRegistration(LOCAL, "api", str(self.home))

    def seconds(self, ask):
        begun = time.monotonic()
        answer = ask()
        return answer, time.monotonic() - begun

    def kept(self, client, words, at_most=5.0):
        """Every call ends in time and without an exception, and a registration is kept."""
        result, took = self.seconds(lambda: client.register_project(self.registration))
        self.assertLess(took, at_most)
        self.assertEqual((result.success, result.status, result.queued), (False, "queued", True))
        self.assertIn(words, result.error)
        self.assertEqual([row["payload"]["local_project_uuid"] for row in self.rows()], [LOCAL])
        for ask, expected in (
            (lambda: client.resolve_uuid(LOCAL), None),
            (lambda: client.resolve_uuid(LOCAL, use_cache=False), None),
            (lambda: client.get_registration_status(LOCAL), None),
            (lambda: client.cache.get(LOCAL), None),
            (client.process_queue, 0),
            (client.get_queue_status, {"queue_size": 1, "pending": 1}),
        ):
            answer, took = self.seconds(ask)
            self.assertLess(took, at_most)
            self.assertEqual(answer, expected)

    def test_a_stopped_daemon_is_given_up_and_does_not_get_it_twice(self):
        cloud = self.cloud()
        process = self.daemon()
        process.signal(signal.SIGSTOP)
        client = CloudProjectClient(timeout=1)
        self.kept(client, "has not answered within 1 s", at_most=2.5)
        _, took = self.seconds(lambda: [client.resolve_uuid(LOCAL) for _ in range(5)])
        self.assertLess(took, 2.5, "who was silent just now is not waited for as long again")
        process.signal(signal.SIGCONT)
        until("it was taken over", lambda: not self.rows())
        until("it is in the cloud", lambda: len(cloud.projects()) == 1)
        self.assertTrue(until("the daemon is believed again", lambda: client.resolve_uuid(LOCAL)))
        self.assertEqual(len(cloud.ledger()), 1)

    def test_a_queue_of_connections_that_is_full_is_no_trap(self):
        self.socket.parent.mkdir(parents=True)
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(str(self.socket))
            listener.listen(0)
            waiting = []
            for _ in range(8):
                one = socket.socket(socket.AF_UNIX)
                self.addCleanup(one.close)
                one.setblocking(False)
                one.connect_ex(str(self.socket))
                waiting.append(one)
            self.kept(CloudProjectClient(timeout=0.5), "")

    def test_a_socket_nobody_listens_on_is_no_daemon(self):
        self.socket.parent.mkdir(parents=True)
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(str(self.socket))
        self.kept(CloudProjectClient(), "nobody listens")

    def test_what_is_no_socket_is_no_daemon(self):
        self.socket.parent.mkdir(parents=True)
        self.socket.write_text("precious")
        self.kept(CloudProjectClient(), "is not the socket of a daemon")
        self.assertEqual(self.socket.read_text(), "precious")

    def test_who_listens_as_another_user_is_no_daemon_and_is_told_nothing(self):
        heard = []
        Stranger(self, self.socket, lambda connection: heard.append(connection.recv(64 * 1024)))
        with mock.patch.object(os, "geteuid", lambda: os.getuid() + 4711):
            self.kept(CloudProjectClient(), "is the user with the number %d" % os.getuid())
            with self.assertRaises(NoDaemon):
                Daemon().status()
        self.assertEqual([text for text in heard if text], [])

    def test_macos_tells_who_listens_in_its_own_words(self):
        class Connection:
            told = struct.pack("=IIhxx16I", 0, 501, 2, 20, 12, *[0] * 14)

            def getsockopt(self, level, option, size):
                assert (level, option, size) == (0, 1, 76)
                return self.told

        connection = Connection()
        with mock.patch.object(sys, "platform", "darwin"):
            self.assertEqual(wire._listener(connection), 501)
            connection.told = b""
            with self.assertRaises(OSError):
                wire._listener(connection)

    def test_a_process_without_descriptors_gets_no_exception(self):
        client = CloudProjectClient()
        lack = OSError(errno.EMFILE, os.strerror(errno.EMFILE))
        with mock.patch.object(socket, "socket", side_effect=lack):
            self.kept(client, os.strerror(errno.EMFILE))
            with self.assertRaises(NoDaemon):
                client.daemon.status()

    def test_what_can_be_no_path_is_no_projects_and_raises_nothing(self):
        asked = []
        Stranger(self, self.socket, lambda connection: asked.append(connection.recv(64 * 1024)))
        client = CloudProjectClient()
        for path in ("a\0b", "\ud800", "/" + "a" * 5000, b"\0", None, 5.5, ["a"]):
            for use_cache in (True, False):
                self.assertIsNone(client.resolve_path(path, use_cache))
            with self.assertRaises(Invalid):
                client.daemon.resolve(path=path)
        self.assertEqual(asked, [])
        with mock.patch.object(os, "getcwd", side_effect=FileNotFoundError("the folder went away")):
            self.assertIsNone(client.resolve_path("relative"))

    def test_strange_answers_lose_nothing(self):
        def nothing(connection):
            connection.recv(10)

        def silence(connection):
            while connection.recv(64 * 1024):
                pass

        def trickle(connection):
            connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 9000\r\n\r\n")
            while True:
                connection.sendall(b" ")
                time.sleep(0.05)

        def flood(connection):
            while True:
                connection.sendall(b"x" * 65536)

        def endless_head(connection):
            connection.sendall(b"HTTP/1.1 200 OK\r\n")
            while True:
                connection.sendall(b"x: %s\r\n" % (b"y" * 60000))

        head = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n"

        def raw(text):
            def behave(connection):
                connection.recv(64 * 1024)
                connection.sendall(text)

            return behave

        deep = b"[" * 200_000
        for number, (behave, words) in enumerate(
            (
                (nothing, "closed the connection"),
                (silence, "has not answered within"),
                (trickle, "has not ended its answer within"),
                (flood, "no HTTP/1.1"),
                (endless_head, "larger than is read"),
                (raw(b"SSH-2.0-OpenSSH_9\r\n"), "no HTTP/1.1"),
                (raw(b"HT"), "no HTTP/1.1"),
                (raw(b"HTTP/2 200\r\n\r\n"), "it begins with"),
                (raw(b"HTTP/1.1 abc\r\n\r\n"), "it begins with"),
                (raw(b"HTTP/1.1 200 OK\r\nnonsense\r\n\r\n"), "no header field"),
                (raw(head + b"content-length: 5\r\n\r\n{}"), "without a whole answer"),
                (raw(head + b"content-length: -5\r\n\r\n{}"), "no length"),
                (raw(head + b"content-length: 2\r\ncontent-length: 3\r\n\r\n{}"), "two lengths"),
                (raw(head + b"content-length: 99999999999\r\n\r\n"), "larger than is read"),
                (raw(head + b"transfer-encoding: gzip\r\n\r\n"), "encoded as"),
                (raw(head + b"transfer-encoding: chunked\r\n\r\nxyz\r\n"), "size of a chunk"),
                (raw(head + b"transfer-encoding: chunked\r\n\r\n2\r\n{}x\r\n"), "longer than it says"),
                (raw(head + b"transfer-encoding: chunked\r\n\r\nfffffff\r\n"), "larger than is read"),
                (raw(b"HTTP/1.1 103 Early\r\n\r\n" * 20), "only interim"),
                (answering(200, b""), "no JSON"),
                (answering(200, b"<html>", "text/html"), "no JSON"),
                (answering(200, b"{"), "no JSON"),
                (answering(200, b"\xff{}"), "no JSON"),
                (answering(200, deep), "no JSON"),
                (answering(200, b"[1, 2]"), "no JSON object"),
                (answering(502, b'"text"'), "no JSON object"),
                (answering(302, b"", "text/html"), "status 302"),
                (answering(200, b"{}"), "no results"),
                (answering(200, b'{"cloud": [], "results": [], "items": 5, "delivered": "x"}'), "no results"),
                (answering(200, b'{"results": {"%s": {"success": 1}}}' % LOCAL.encode()), "what became of it"),
                (
                    answering(
                        200,
                        b'{"results": {"%s": {"success": true, "queued": false, "status": "registered"}}}'
                        % LOCAL.encode(),
                    ),
                    "what became of it",
                ),
                (answering(500, b'{"code": 5}', "application/problem+json"), "HTTP status 500"),
                (answering(507, b'{"code": "queue_full", "detail": "no room"}', "application/problem+json"), "no room"),
                (answering(503, b'{"code": "starting", "title": "it starts"}', "application/problem+json"), "it starts"),
                (answering(403, b'{"code": "bad_request"}', "application/problem+json"), "HTTP status 403"),
            )
        ):
            with self.subTest(number=number, words=words):
                path = self.home / ("s%d" % number)
                Stranger(self, path, behave)
                # Who is slow on purpose need not be waited for as long as who may be slow on a busy machine.
                self.kept(CloudProjectClient(socket=path, timeout=0.1 if behave in (silence, trickle) else 1), words)
                self.old_queue.unlink()

    def test_a_batch_that_is_refused_is_sent_in_parts_until_the_culprit_is_alone(self):
        bad = str(uuid.UUID(int=3))

        def picky(connection):
            request = b""
            while not request.endswith(b"}"):
                request += connection.recv(64 * 1024)
                if request.startswith(b"GET") and request.endswith(b"\r\n\r\n"):
                    request = b"GET{}"
            names = []
            if not request.startswith(b"GET"):
                body = json.loads(request.split(b"\r\n\r\n", 1)[1])
                names = [project["local_project_uuid"] for project in body["projects"]]
            refusal = b'{"code": "bad_request", "detail": "one of them is strange"}'
            reply = (400, refusal, "application/problem+json")
            if request.startswith(b"GET"):
                reply = (200, STATUS, "application/json")
            elif bad not in names:
                done = {"success": True, "cloud_uuid": LOCAL, "status": "registered", "queued": False, "error": None}
                reply = (200, json.dumps({"results": {name: done for name in names}}).encode(), "application/json")
            head = "HTTP/1.1 %d X\r\ncontent-type: %s\r\ncontent-length: %d\r\n\r\n"
            return connection.sendall((head % (reply[0], reply[2], len(reply[1]))).encode() + reply[1])

        path = self.home / "picky"
        Stranger(self, path, picky)
        names = [str(uuid.UUID(int=number + 1)) for number in range(7)]
        projects = [ProjectRegistration(name, "p", str(self.home / name)) for name in names]
        results = CloudProjectClient(socket=path).sync_projects(projects)
        self.assertEqual([name for name in names if not results[name].success], [bad])
        self.assertEqual((results[bad].status, results[bad].error), ("error", "one of them is strange"))
        self.assertEqual(self.rows(), [])

    def test_an_answer_in_chunks_and_one_that_ends_with_the_connection_are_read(self):
        head = b"HTTP/1.1 200 OK\r\ncontent-type: application/json; charset=utf-8\r\n"
        for number, rest in enumerate(
            (
                b"content-length: 8\r\n\r\n" + b'{"a": 1}' + b"more",
                b'transfer-encoding: chunked\r\n\r\n2;x=y\r\n{"\r\n6\r\na": 1}\r\n0\r\nx: y\r\n\r\n',
                b'\r\n{"a": 1}',
            )
        ):

            def slowly(connection, text=b"HTTP/1.1 100 Continue\r\n\r\n" + head + rest):
                connection.recv(64 * 1024)
                for byte in text:
                    connection.sendall(bytes([byte]))

            path = self.home / ("s%d" % number)
            Stranger(self, path, slowly)
            self.assertEqual(Daemon(path).request("GET", "/"), {"a": 1})

    def test_each_failure_has_its_type(self):
        with self.assertRaises(NoDaemon):
            Daemon().status()
        for number, (behave, expected) in enumerate(
            ((lambda connection: None, NoAnswer), (answering(200, b"x"), BadAnswer))
        ):
            Stranger(self, self.home / ("s%d" % number), behave)
            with self.assertRaises(expected):
                Daemon(self.home / ("s%d" % number)).status()
        self.configure()
        self.daemon("--dev", "--root", str(self.roots))
        with self.assertRaises(Refused) as caught:
            Daemon().resolve(LOCAL)
        self.assertEqual((caught.exception.code, caught.exception.status), ("not_registered", 404))
        self.assertIn("coditect-sync register", str(caught.exception))
        with self.assertRaises(Refused) as caught:
            Daemon().register({"root_path": "relative"})
        self.assertEqual((caught.exception.code, caught.exception.is_final), ("bad_request", True))

    def test_many_threads_and_a_fork_share_one_client_and_leave_nothing_open(self):
        self.configure()
        self.daemon("--dev", "--root", str(self.roots))
        client = CloudProjectClient()
        folders = [self.folder("p%d" % number) for number in range(24)]
        locals_ = [str(uuid.UUID(int=number + 1)) for number in range(24)]
        client.resolve_uuid(LOCAL)
        descriptors = len(os.listdir("/dev/fd"))
        results, wrong = {}, []

        def work(number):
            local = locals_[number]
            results[local] = client.register_project(ProjectRegistration(local, "p", folders[number]))
            for _ in range(5):
                if client.resolve_uuid(local) != results[local].cloud_uuid:
                    wrong.append(local)

        threads = [threading.Thread(target=work, args=(number,)) for number in range(24)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual([result.success for result in results.values()], [True] * 24, results)
        self.assertEqual(wrong, [])
        self.assertEqual(len({result.cloud_uuid for result in results.values()}), 24)
        self.assertEqual(len(os.listdir("/dev/fd")), descriptors)

        child = os.fork()
        if child == 0:
            answer = client.resolve_uuid(locals_[0])
            os._exit(0 if answer == results[locals_[0]].cloud_uuid else 1)
        self.assertEqual(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), 0)

    def test_more_projects_than_fit_into_one_request_go_in_one_call(self):
        self.configure()
        self.daemon("--dev", "--root", str(self.roots))
        root = self.folder("all")
        projects = []
        for number in range(450):
            path = os.path.join(root, str(number))
            os.mkdir(path)
            projects.append(ProjectRegistration(str(uuid.UUID(int=number + 1)), "p", path, "Rust", "axum", "h"))
        results = CloudProjectClient(wait=60).sync_projects(projects)
        self.assertEqual(len(results), 450)
        self.assertEqual([result for result in results.values() if not result.success], [])
