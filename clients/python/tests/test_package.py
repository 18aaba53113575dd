"""The package itself: what it offers, what it needs, and on which Pythons it can be read."""

import ast
import re
import sys
import unittest
from pathlib import Path

import coditect_sync_client
from coditect_sync_client import CloudProjectClient, Daemon, OfflineQueue, ProjectRegistration, SyncResult, UUIDCache

from .support import REPOSITORY

PACKAGE = Path(coditect_sync_client.__file__).parent
SOURCES = sorted(PACKAGE.glob("*.py"))


def imported(source):
    """The names of the modules that a source imports from outside the package."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (name.name.split(".")[0] for name in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level:
            yield node.module.split(".")[0]


class Package(unittest.TestCase):
    def test_it_can_be_read_by_python_3_9(self):
        for path in SOURCES:
            ast.parse(path.read_text(encoding="utf-8"), str(path), feature_version=(3, 9))
        with self.assertRaises(SyntaxError):
            ast.parse("match x:\n    case 1: pass\n", feature_version=(3, 9))

    def test_it_needs_nothing_but_the_standard_library(self):
        used = {name for path in SOURCES for name in imported(path.read_text(encoding="utf-8"))}
        self.assertIn("sqlite3", used)
        if sys.version_info >= (3, 10):
            self.assertEqual(used - sys.stdlib_module_names, set())
        self.assertEqual(set(imported("import requests.x\nfrom httpx import y\n")), {"requests", "httpx"})

    def test_it_is_typed_and_every_file_says_what_it_is_for(self):
        self.assertTrue((PACKAGE / "py.typed").is_file())
        for path in SOURCES:
            self.assertTrue(ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))), path)

    def test_its_version_is_the_daemons(self):
        manifest = (REPOSITORY / "Cargo.toml").read_text(encoding="utf-8")
        (version,) = re.findall(r'^\[workspace\.package\]\nversion = "([^"]+)"', manifest, re.MULTILINE)
        self.assertEqual(coditect_sync_client.__version__, version)

    def test_its_page_names_every_method_of_the_control_api(self):
        page = (REPOSITORY / "clients/python/README.md").read_text(encoding="utf-8")
        (section,) = re.findall(r"^## More than the old client had\n(.*?)^\|", page, re.MULTILINE | re.DOTALL)
        named = set(re.findall(r"`([a-z_]+)[`(]", section))
        methods = {name for name, value in vars(Daemon).items() if callable(value) and not name.startswith("_")}
        self.assertEqual(methods - named, set())

    def test_it_offers_what_the_old_client_did(self):
        expected = {
            CloudProjectClient: "register_project resolve_uuid get_registration_status sync_projects process_queue "
            "get_queue_status",
            OfflineQueue: "enqueue get_pending mark_success mark_failed queue_size",
            UUIDCache: "get set invalidate",
        }
        for kind, names in expected.items():
            self.assertEqual([name for name in names.split() if not callable(getattr(kind, name, None))], [])
        for name in coditect_sync_client.__all__:
            self.assertTrue(hasattr(coditect_sync_client, name), name)
        shown = repr(ProjectRegistration("u", "n", "/r"))
        self.assertEqual(
            shown,
            "ProjectRegistration(local_project_uuid='u', project_name='n', root_path='/r', primary_language='', "
            "framework='', content_hash='', project_type='standalone', parent_project_uuid=None)",
        )
        self.assertEqual(
            repr(SyncResult(True)), "SyncResult(success=True, cloud_uuid=None, status='', error=None, queued=False)"
        )
