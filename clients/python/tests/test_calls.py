"""The calls that tools made of the old client, over a real daemon and a real dev cloud: same inputs, same results.

The expectations were written by hand from what the old client answers where it is right.
"""

import json
import os
import sys
import time
import unittest
import urllib.request

from coditect_sync_client import CloudProjectClient, ProjectRegistration, Refused, SyncResult

from .support import PATIENCE, Cloud, Scene, until

OTHER_MACHINE = "00000000-0000-4000-9000-000000000002"


def local(number):
    return "00000000-0000-4000-8000-%012d" % number


class Calls(Scene):
    def setUp(self):
        super().setUp()
        self.acme = self.cloud()
        self.process = self.daemon()
        self.client = CloudProjectClient()

    def registration(self, number, **fields):
        """A registration that states everything."""
        name = "p%d" % number
        root = self.home / "elsewhere" / name
        root.mkdir(parents=True, exist_ok=True)
        whole = {"primary_language": "Rust", "framework": "axum", "content_hash": "h1", "project_type": "monorepo"}
        return ProjectRegistration(local(number), name, str(root), **{**whole, **fields})

    def known(self, number):
        """What the cloud knows of a project."""
        return next((one for one in self.acme.projects() if one["local_project_uuid"] == local(number)), None)

    def cloud_uuid(self, number):
        return self.known(number)["cloud_uuid"]

    def test_a_new_project_is_registered_and_then_cached(self):
        first = self.client.register_project(self.registration(1))
        self.assertEqual(first, SyncResult(True, self.cloud_uuid(1), "registered", None, False))
        again = self.client.register_project(self.registration(1))
        self.assertEqual(again, SyncResult(True, self.cloud_uuid(1), "cached", None, False))
        forced = self.client.register_project(self.registration(1), force=True)
        self.assertEqual(forced, SyncResult(True, self.cloud_uuid(1), "registered", None, False))
        effects = [entry for entry in self.acme.ledger() if entry["local_project_uuid"] == local(1)]
        self.assertEqual(len(effects), 2, effects)

    def test_every_field_arrives(self):
        self.client.register_project(self.registration(1))
        self.client.register_project(self.registration(2, project_type="submodule", parent_project_uuid=local(1)))
        self.client.sync_projects([self.registration(3, parent_project_uuid=local(1).upper())])
        names = ("primary_language", "framework", "content_hash", "project_type", "parent_project_uuid")
        for number, expected in (
            (1, ["Rust", "axum", "h1", "monorepo", None]),
            (2, ["Rust", "axum", "h1", "submodule", local(1)]),
            (3, ["Rust", "axum", "h1", "monorepo", local(1)]),
        ):
            self.assertEqual([self.known(number)[name] for name in names], expected, number)

    def test_a_change_is_not_hidden_by_the_cache(self):
        self.client.register_project(self.registration(1))
        changed = self.client.register_project(self.registration(1, content_hash="h2"))
        self.assertEqual((changed.success, changed.status), (True, "registered"))
        self.assertEqual(self.known(1)["content_hash"], "h2")

    def test_what_is_not_stated_is_found_out_and_not_taken_back(self):
        root = self.project("api")
        result = self.client.register_project(ProjectRegistration(local(1), "", root))
        self.assertTrue(result.success, result)
        known = self.known(1)
        self.assertEqual((known["project_name"], known["primary_language"]), ("api", "Rust"))
        self.client.register_project(self.registration(2, project_type="monorepo"))
        bare = ProjectRegistration(local(2), "p2", str(self.home / "elsewhere" / "p2"))
        self.assertEqual(bare.project_type, "standalone")
        self.client.register_project(bare)
        self.assertEqual((self.known(2)["project_type"], self.known(2)["framework"]), ("monorepo", "axum"))
        stated = self.registration(2, project_type="standalone")
        self.client.register_project(stated)
        self.assertEqual(self.known(2)["project_type"], "standalone")

    def test_a_uuid_is_resolved(self):
        self.client.register_project(self.registration(1))
        for use_cache in (True, False):
            self.assertEqual(self.client.resolve_uuid(local(1), use_cache), self.cloud_uuid(1))
            self.assertIsNone(self.client.resolve_uuid(local(9), use_cache))
        for nobody in ("nonsense", "", None, 5):
            self.assertIsNone(self.client.resolve_uuid(nobody))
        inside = self.home / "elsewhere" / "p1" / "deep"
        inside.mkdir()
        self.assertEqual(self.client.resolve_path(inside), self.cloud_uuid(1))
        self.assertIsNone(self.client.resolve_path(self.home))

    def test_the_state_of_a_registration_is_told(self):
        self.client.register_project(self.registration(1))
        told = self.client.get_registration_status(self.cloud_uuid(1))
        names = ("cloud_uuid", "local_project_uuid", "registration_status", "tenant_id")
        self.assertEqual([told[name] for name in names], [self.cloud_uuid(1), local(1), "registered", "acme"])
        self.assertEqual(told, self.asked(self.cloud_uuid(1)), "the cloud's own words, as the old client gave them")
        self.assertIsNone(self.client.get_registration_status(local(8)))
        self.assertIsNone(self.client.get_registration_status("nonsense"))

    def test_the_state_of_a_registration_on_another_machine_is_told(self):
        body = {"project_name": "theirs", "root_path": "/home/other/theirs", "local_project_uuid": local(2)}
        theirs = self.request("register/", {**body, "machine_uuid": OTHER_MACHINE})["cloud_uuid"]
        told = self.client.get_registration_status(theirs.upper())
        self.assertEqual(told, self.asked(theirs))
        self.assertEqual((told["cloud_uuid"], told["local_project_uuid"]), (theirs, local(2)))
        self.assertFalse(self.client.daemon.registration(theirs)["on_this_machine"])
        self.acme.end()
        self.assertIsNone(self.client.get_registration_status(theirs))
        with self.assertRaises(Refused) as refused:
            self.client.daemon.registration(theirs)
        self.assertEqual((refused.exception.status, refused.exception.code), (503, "cloud_unreachable"))

    def asked(self, cloud_uuid):
        """What the old client answered: the document that the cloud gives to who has the token."""
        return self.request("%s/registration-status/" % cloud_uuid)

    def request(self, target, body=None):
        headers = {"Authorization": "Bearer " + self.acme.token, "X-Machine-UUID": OTHER_MACHINE}
        data = None
        if body is not None:
            headers["Content-Type"] = "application/json"
            data = json.dumps(body).encode()
        request = urllib.request.Request("%s/api/v1/projects/%s" % (self.acme.url, target), data, headers)
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(request, timeout=PATIENCE) as answer:
            return json.load(answer)

    def test_several_projects_are_registered_each_with_a_result(self):
        self.client.register_project(self.registration(3))
        results = self.client.sync_projects([self.registration(number) for number in (1, 2, 3)])
        expected = {
            local(1): SyncResult(True, self.cloud_uuid(1), "registered"),
            local(2): SyncResult(True, self.cloud_uuid(2), "registered"),
            local(3): SyncResult(True, self.cloud_uuid(3), "cached"),
        }
        self.assertEqual(results, expected)
        self.assertEqual(self.client.sync_projects([]), {})

    def test_one_bad_project_does_not_take_the_others_with_it(self):
        gone = ProjectRegistration(local(4), "gone", str(self.home / "nowhere"))
        nonsense = ProjectRegistration("nonsense", "x", str(self.home))
        of_no_kind = self.registration(5, project_type="library")
        twice = self.registration(1, content_hash="h0")
        projects = [nonsense, twice, gone, of_no_kind, self.registration(1), self.registration(2)]
        results = self.client.sync_projects(projects)
        self.assertEqual(set(results), {local(1), local(2), local(4), local(5), "nonsense"})
        self.assertEqual([results[local(number)].success for number in (1, 2, 4, 5)], [True, True, False, False])
        for name, words in (("nonsense", "UUID"), (local(4), "not a folder"), (local(5), "library")):
            result = results[name]
            self.assertEqual((result.status, result.queued), ("error", False))
            self.assertIn(words, result.error)
        self.assertEqual(self.known(1)["content_hash"], "h1", "the last one of a project counts")

    def test_a_uuid_is_answered_under_its_own_spelling(self):
        spelled = "AAAAAAAA-0000-4000-8000-000000000001"
        project = ProjectRegistration(spelled, "p", self.folder("p"))
        self.assertEqual(list(self.client.sync_projects([project])), [spelled])
        self.assertTrue(self.client.resolve_uuid(spelled))

    @unittest.skipUnless(sys.platform.startswith("linux"), "only Linux has names that are not UTF-8")
    def test_a_path_that_is_not_utf_8_is_the_same_path(self):
        root = os.fsencode(self.home) + b"/\xff&"
        os.mkdir(root)
        result = self.client.register_project(ProjectRegistration(local(1), "strange", os.fsdecode(root)))
        self.assertEqual(result, SyncResult(True, self.cloud_uuid(1), "registered"))
        self.assertEqual(self.client.resolve_path(root), self.cloud_uuid(1))
        self.assertEqual(self.client.resolve_path(os.fsdecode(root)), self.cloud_uuid(1))

    def test_while_the_cloud_is_down_everything_is_queued_once_and_nothing_waited_for(self):
        self.client.register_project(self.registration(1))
        self.acme.fail({"fault": {"status": {"code": 503}}})
        begun = time.monotonic()
        patient = CloudProjectClient(wait=60)
        single = patient.register_project(self.registration(5, parent_project_uuid=local(1)))
        self.assertLess(time.monotonic() - begun, 30)
        self.assertEqual((single.success, single.status, single.queued), (False, "queued", True))
        self.assertIn("503", single.error)
        several = self.client.sync_projects([self.registration(6), self.registration(7)])
        for result in several.values():
            self.assertEqual((result.success, result.status, result.queued), (False, "queued", True))
        self.assertEqual(self.client.get_queue_status(), {"queue_size": 3, "pending": 3})
        for _ in range(5):
            self.assertEqual(self.client.process_queue(), 0)
        self.assertEqual(self.client.get_queue_status()["queue_size"], 3, "a drain in vain adds nothing")
        self.assertEqual(self.client.resolve_uuid(local(1)), self.cloud_uuid(1), "what is known is answered")
        self.assertIsNone(self.client.resolve_uuid(local(9)))

        self.acme.heal()
        self.client.process_queue()
        until("all has arrived", lambda: len(self.acme.projects()) == 4)
        until("the queue is empty", lambda: self.client.get_queue_status() == {"queue_size": 0, "pending": 0})
        self.assertEqual(self.client.process_queue(), 0)
        self.assertEqual(self.known(5)["project_type"], "monorepo")
        self.assertEqual(self.known(5)["parent_project_uuid"], local(1))
        arrived = [entry for entry in self.acme.ledger() if entry["local_project_uuid"] == local(5)]
        self.assertEqual(len(arrived), 1, arrived)

    def test_what_the_cloud_refuses_for_good_is_an_error(self):
        self.acme.fail({"fault": {"poisoned_name": {"name": "p6"}}})
        self.client.register_project(self.registration(7))
        for result in (
            self.client.register_project(self.registration(6)),
            self.client.sync_projects([self.registration(7), self.registration(6)])[local(6)],
        ):
            self.assertEqual((result.success, result.status, result.queued), (False, "error", False))
            self.assertIn("400", result.error)
        self.assertEqual(self.client.get_queue_status(), {"queue_size": 1, "pending": 0}, "a dead letter")

    def test_a_slow_cloud_is_waited_for_as_long_as_was_said(self):
        self.acme.fail({"fault": {"latency": {"ms": 1500}}})
        hurried = CloudProjectClient(wait=0.2)
        self.assertEqual(hurried.register_project(self.registration(1)), SyncResult.waiting())
        self.assertIsNone(hurried.resolve_uuid(local(1)))
        self.assertTrue(self.client.register_project(self.registration(2)).success)
        self.assertEqual(self.client.resolve_uuid(local(1)), self.cloud_uuid(1))

    def test_expired_credentials_lose_no_registration(self):
        self.acme.fail({"fault": {"unauthorized": {}}})
        result = self.client.register_project(self.registration(1))
        self.assertEqual((result.success, result.queued), (False, True))
        self.assertIn("auth required", result.error)


class Tenants(Scene):
    """No answer and no registration of one tenant or cloud is taken for another's."""

    def test_a_daemon_for_another_cloud_or_tenant_is_given_nothing(self):
        acme, other = self.cloud(), Cloud(self, "other")
        process = self.daemon()
        project = ProjectRegistration(local(1), "api", self.folder("api"))
        for arguments, words in (
            ({"api_url": other.url}, other.url),
            ({"auth_token": other.token}, "tenant acme"),
            ({"api_url": acme.url, "auth_token": other.token}, "tenant acme"),
        ):
            for running in (True, False):
                client = CloudProjectClient(**arguments)
                result = client.register_project(project)
                self.assertEqual((result.success, result.status, result.queued), (False, "error", False))
                self.assertIn(words, result.error)
                self.assertEqual(client.sync_projects([project])[local(1)].status, "error")
                self.assertIsNone(client.resolve_uuid(local(1)))
                self.assertEqual(client.process_queue(), 0)
                if running:
                    process.stop()
            process = self.daemon()
        self.assertEqual((acme.projects(), other.projects(), self.rows()), ([], [], []))
        client = CloudProjectClient(api_url=acme.url + "/", auth_token=acme.token)
        self.assertTrue(client.register_project(project).success, "the same cloud and tenant are no others")

    def test_another_tenants_uuid_is_not_answered(self):
        acme = self.cloud()
        process = self.daemon()
        client = CloudProjectClient()
        client.register_project(ProjectRegistration(local(1), "api", self.folder("api")))
        first = client.cache.get(local(1))
        self.assertTrue(first)
        process.stop()
        other = Cloud(self, "other")
        self.configure(api_url=other.url, auth_token=other.token)
        self.daemon()
        self.assertNotEqual(client.cache.get(local(1)), first)
        self.assertNotEqual(client.resolve_uuid(local(1)), first)
        self.assertEqual(len(acme.projects()), 1)


if __name__ == "__main__":
    unittest.main()
