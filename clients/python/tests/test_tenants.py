"""Nothing goes to another cloud or tenant than the expected one, nor to one that cannot be told."""

import base64
import json
import os
from unittest import mock

from coditect_sync_client import CloudProjectClient, ProjectRegistration, SyncResult
from coditect_sync_client.configured import Configuration, Unknown, tenant_of

from .support import Scene, Stranger, answering

LOCAL = "00000000-0000-4000-8000-000000000001"
URL = "https://a.example"


def jwt(claims):
    text = claims if isinstance(claims, str) else json.dumps(claims)
    return "e30.%s.c2ln" % base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


ACME, OTHER, THIRD = (jwt({"tenant_id": name}) for name in ("acme", "other", "third"))


class Expecting(Scene):
    def setUp(self):
        super().setUp()
        self.config = self.home / ".coditect" / "config" / "config.json"
        self.stored = self.state / "token"
        self.registration = ProjectRegistration(LOCAL, "api", str(self.home))

    def file(self, path, text):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    def variables(self, **values):
        names = {"CODITECT_SYNC__CLOUD_SYNC__" + key.upper(): value for key, value in values.items()}
        return mock.patch.dict(os.environ, names)

    def configured(self, **values):
        self.file(self.config, json.dumps({"cloud_sync": values}))

    def kept(self, **arguments):
        """Whether a registration is kept for the next daemon; else why not."""
        result = CloudProjectClient(**arguments).register_project(self.registration)
        rows = len(self.rows())
        if rows:
            self.old_queue.unlink()
        self.assertEqual((result.status, result.queued, rows), ("queued", True, 1) if rows else ("error", False, 0))
        return True if rows else result.error

    def check(self, expected, **values):
        """With this configuration ``acme`` is the daemon's tenant, or it cannot be told why."""
        self.configured(**values)
        for given, other in ((ACME, "acme"), (OTHER, "other")):
            told = self.kept(auth_token=given)
            if expected is True and other == "acme":
                self.assertIs(told, True)
            else:
                words = "tenant acme, not for other" if expected is True else expected
                self.assertIn(words, str(told))
        self.assertIs(self.kept(), True, "nothing is expected")


class WithoutDaemon(Expecting):
    def test_the_tenant_is_read_wherever_the_daemon_reads_it(self):
        self.check(True, auth_token=ACME)
        self.check(True, auth_token=" %s\n" % ACME)
        self.check(True, tenant_id="acme", credential_command=["helper"])
        self.file(self.home / "mine", ACME + "\n")
        for path in (str(self.home / "mine"), "~/mine", "$HOME/mine", "${HOME}/mine"):
            self.check(True, auth_token_file=path)
        self.file(self.stored, ACME + "\n")
        self.check(True)
        self.check(True, auth_token=None, auth_token_file=None, credential_command=None, tenant_id=None)
        with mock.patch.dict(os.environ, CODITECT_SYNC_STATE_DIR=str(self.home / "state2")):
            self.check("its token cannot be read")
            self.file(self.home / "state2" / "token", ACME)
            self.check(True)

    def test_the_environment_beats_the_file(self):
        for variables in ({"auth_token": ACME}, {"tenant_id": "acme"}, {"auth_token": ACME, "tenant_id": " "}):
            with self.variables(**variables):
                self.check(True, auth_token=THIRD)
        with self.variables(auth_token=""):
            self.check("its token cannot be read", auth_token=ACME)
            self.check(True, auth_token=THIRD, tenant_id="acme")
        with self.variables(auth_token="", auth_token_file=str(self.file(self.home / "mine", ACME))):
            self.check(True, auth_token=THIRD)
        with self.variables(auth_token="", credential_command="helper, acme"):
            self.check("credential_command", auth_token=ACME)
        with self.variables(api_url=URL):
            self.configured(api_url="https://b.example")
            self.assertIs(self.kept(api_url=URL), True)

    def test_a_tenant_that_cannot_be_told_is_refused_where_one_is_expected(self):
        os.mkfifo(self.home / "pipe")
        for words, values in (
            ("its token cannot be read", {}),
            ("its token cannot be read", {"auth_token_file": "/nowhere/token"}),
            ("is not absolute", {"auth_token_file": "token"}),
            ("is not a file", {"auth_token_file": str(self.home / "pipe")}),
            ("holds no token", {"auth_token_file": str(self.file(self.home / "two", "a b"))}),
            ("larger than is read", {"auth_token_file": str(self.file(self.home / "large", "x" * 70_000))}),
            ("credential_command", {"credential_command": ["helper"]}),
            ("names none", {"auth_token": "opaque"}),
            ("more than one", {"auth_token": ACME, "credential_command": ["helper"]}),
            ("`cloud_sync.tenant_id` is no text", {"auth_token": THIRD, "tenant_id": 5}),
        ):
            with self.subTest(words=words, values=values):
                self.check(words, **values)

    def test_a_configuration_that_cannot_be_read_is_unknown_and_not_the_default(self):
        default = "https://api.coditect.ai"
        for text in ("{", "[]", '{"cloud_sync": 5}', '{"cloud_sync": {"api_url": "%s"' % URL, "[" * 100_000, "{} /* x"):
            self.file(self.config, text)
            self.assertIn("cannot be read", self.kept(auth_token=ACME))
            self.assertIn("cannot be read", self.kept(api_url=default))
            self.assertIs(self.kept(), True, "nothing is expected")
            with self.variables(tenant_id="acme"):
                self.assertIs(self.kept(auth_token=ACME), True, "the environment decides")
                self.assertIn("cannot be read", self.kept(api_url=default, auth_token=ACME))
            with self.variables(tenant_id="acme", api_url=default):
                self.assertIs(self.kept(api_url=default, auth_token=ACME), True)
        for text in ("", " // nothing\n"):
            self.file(self.config, text)
            self.assertIs(self.kept(api_url=default), True, "an empty file says nothing")
        self.config.unlink()
        self.assertIs(self.kept(api_url=default), True, "and so does one that is not there")

    def test_a_given_configuration_names_the_tenant_too(self):
        given = self.home / "given.json"
        self.configured(api_url=URL, tenant_id="acme")
        for values, expected in (
            ({"tenant_id": "acme"}, True),
            ({"tenant_id": "acme", "auth_token": OTHER}, True),
            ({"auth_token": ACME}, True),
            ({}, True),
            ({"tenant_id": "other"}, "tenant acme, not for other"),
            ({"tenant_id": "other", "auth_token": ACME}, "tenant acme, not for other"),
            ({"auth_token": OTHER}, "tenant acme, not for other"),
            ({"tenant_id": "acme", "api_url": "https://b.example"}, "not with https://b.example"),
        ):
            with self.subTest(values=values):
                self.file(given, json.dumps({"cloud_sync": {"api_url": URL, **values}}))
                self.assertIn(str(expected), str(self.kept(config_path=given)))
        self.assertIn("acme, not for other", self.kept(api_url=URL, auth_token=OTHER, config_path=self.home / "none"))
        self.file(given, '{"cloud_sync": {"tenant_id": "other"}}')
        self.assertIn("acme, not for other", self.kept(api_url=URL, auth_token=ACME, config_path=given))
        self.file(given, "{")
        self.assertIn("for which cloud and tenant this client was made", self.kept(config_path=given))

    def test_the_daemons_own_token_is_for_no_other_tenant_whatever_it_is_called(self):
        self.configured(auth_token=ACME, tenant_id="ours")
        self.assertIs(self.kept(auth_token=ACME), True)
        self.assertIn("tenant ours, not for other", self.kept(auth_token=OTHER))

    def test_the_tenant_of_a_token_is_read_as_the_daemon_reads_it(self):
        for claims, expected in (
            ({"tenant_id": "acme"}, "acme"),
            ({"tenant_id": 42}, "42"),
            ({"tenant_id": 0}, "0"),
            ({"tenant_id": True}, None),
            ({"tenant_id": None}, None),
            ({"tenant_id": {"id": 1}}, None),
            ({"tenant_id": " "}, None),
            ({"tenant_id": "a\nb"}, None),
            ({"tenant_id": "x" * 201}, None),
            ({"tenant_id": "\ud800"}, None),
            ([], None),
            ("{", None),
            ("[" * 100_000, None),
        ):
            self.assertEqual(tenant_of(jwt(claims)), expected, claims)
        for token in (None, "", "a.b", "a.b.c", "a.b.c.d", "\u00e9.\u00e9.\u00e9", ACME + ".x", ACME.rsplit(".", 1)[0]):
            self.assertIsNone(tenant_of(token), token)
        self.configured(auth_token=jwt({"tenant_id": 42}))
        self.assertIs(self.kept(auth_token=jwt({"tenant_id": "42", "exp": 5})), True)
        self.assertIn("tenant 42, not for 43", self.kept(auth_token=jwt({"tenant_id": 43})))


class Files(Expecting):
    def test_comments_and_trailing_commas_are_read_over_outside_of_texts(self):
        for text, expected in (
            ('{"cloud_sync": {"tenant_id": "a"}}', "a"),
            ('\ufeff// x "y\n{"cloud_sync": /* {"tenant_id": "b"} */ {"tenant_id": "a", // "\n},}', "a"),
            ('{"cloud_sync": {"tenant_id": "a//b"}}', "a//b"),
            ('{"cloud_sync": {"tenant_id": "/*a*/,}", "x": [1, 2 , /* y */ ],\n}}', "/*a*/,}"),
            ('{"cloud_sync": {"tenant_id": "a\\",} // \\\\", }}', 'a",} // \\'),
            ('{"cloud_sync": {"tenant_id": "a"}} // at the end', "a"),
            ('{"cloud_sync": {"tenant_id": "a", "tenant_id": "b"}}', "b"),
            ('{"cloud_sync": null}', None),
            ("/**/", None),
        ):
            found = Configuration(self.file(self.config, text))
            self.assertEqual((found.broken, found.text("tenant_id")), (None, expected), text)
        for text in ('{"x": "', '{"x": "\\', "{} /*", "{} /*/", "{} / /", '{"a" "b"}', "{'a': 1}", "\0", '"' * 99_999):
            found = Configuration(self.file(self.config, text))
            self.assertIn("the configuration cannot be read", str(found.broken), text)
            with self.assertRaises(Unknown):
                found.text("tenant_id")
        self.config.unlink()
        os.mkfifo(self.config)
        self.assertIn("is not a file", Configuration().broken)


class WithDaemon(Expecting):
    def beginning(self, looks, tenant, state="unknown"):
        """A daemon that knows its tenant at the ``looks``-th look at its status; what it was asked."""
        asked = []
        done = {"success": True, "cloud_uuid": LOCAL, "status": "registered", "queued": False, "error": None}

        def behave(connection):
            request = connection.recv(64 * 1024)
            asked.append(request.split(b" ")[1].decode())
            known = tenant if len(asked) >= looks else None
            status = {"cloud": {"state": state, "api_url": URL}, "tenant_id": known}
            answer = status if request.startswith(b"GET") else {"results": {LOCAL: done}}
            text = json.dumps(answer).encode()
            head = "HTTP/1.1 200 X\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n" % len(text)
            connection.sendall(head.encode() + text)

        path = self.home / ("daemon-%d" % len(list(self.home.iterdir())))
        Stranger(self, path, behave)
        return path, asked

    def ask(self, path, token=ACME, **options):
        return CloudProjectClient(auth_token=token, socket=path, **options).register_project(self.registration)

    def test_a_daemon_that_begins_is_given_a_moment_to_know_its_tenant(self):
        path, asked = self.beginning(3, "acme")
        self.assertEqual(self.ask(path), SyncResult(True, LOCAL, "registered"))
        self.assertEqual(asked, ["/v1/status"] * 3 + ["/v1/projects/sync"])
        path, asked = self.beginning(3, "other")
        self.assertIn("the tenant other, not for acme", self.ask(path).error)
        self.assertEqual(asked, ["/v1/status"] * 3)
        path, asked = self.beginning(99, "acme")
        result = CloudProjectClient(socket=path).register_project(self.registration)
        self.assertTrue(result.success, "nothing is expected")
        self.assertEqual(asked, ["/v1/status", "/v1/projects/sync"])

    def test_a_daemon_whose_tenant_cannot_be_told_is_given_nothing(self):
        for state, wait, looks in (("unknown", 0, 1), ("auth_required", 60, 1), ("online", 60, 1), ("unknown", 0.2, 2)):
            path, asked = self.beginning(999, "acme", state)
            result = self.ask(path, wait=wait)
            self.assertEqual((result.status, result.queued), ("error", False))
            self.assertIn("cannot tell yet for which tenant the daemon registers, and acme is expected", result.error)
            self.assertEqual(set(asked), {"/v1/status"})
            self.assertGreaterEqual(len(asked), looks)
            if looks == 1:
                self.assertEqual(len(asked), 1, "what will not come is not waited for")
            client = CloudProjectClient(auth_token=ACME, socket=path, wait=0)
            self.assertEqual((client.process_queue(), client.resolve_uuid(LOCAL)), (0, None))
            self.assertEqual(set(asked), {"/v1/status"})
        self.assertEqual(self.rows(), [])
        Stranger(self, self.home / "silent", answering(200, b'{"cloud": {"state": "online"}}'))
        client = CloudProjectClient(api_url=URL, socket=self.home / "silent")
        self.assertIn("does not tell with which cloud", client.register_project(self.registration).error)

    def test_the_daemons_own_token_is_not_objected_to(self):
        self.configured(api_url=URL, auth_token=ACME, tenant_id="ours")
        for looks, tenant in ((1, "ours"), (999, None)):
            self.assertTrue(self.ask(self.beginning(looks, tenant, "online")[0]).success)
        told = self.ask(self.beginning(1, "other")[0])
        self.assertIn("the tenant other, not for acme", told.error, "it does not go by this configuration")

    def test_a_real_daemon_without_a_token_is_given_nothing_and_one_with_the_same_everything(self):
        cloud = self.cloud()
        self.configure(api_url=cloud.url)
        process = self.daemon()
        result = CloudProjectClient(auth_token=cloud.token).register_project(self.registration)
        self.assertIn("cannot tell yet for which tenant", result.error)
        self.assertEqual(CloudProjectClient().get_queue_status()["queue_size"], 0)
        process.stop()
        self.configure(api_url=cloud.url, credential_command=["/bin/echo", cloud.token])
        self.daemon()
        for number in (1, 2):
            result = CloudProjectClient(auth_token=cloud.token).register_project(self.registration)
            self.assertTrue(result.success, (number, result))
        other = CloudProjectClient(auth_token=OTHER).register_project(self.registration)
        self.assertIn("the tenant acme, not for other", other.error)
