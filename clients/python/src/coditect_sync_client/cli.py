"""The old client's command line: the same flags, words and exit codes."""

import argparse
import json
import logging
from pathlib import Path
from typing import List, Optional

from .client import CloudProjectClient
from .errors import SyncError
from .model import ProjectRegistration


def main(arguments: Optional[List[str]] = None) -> Optional[int]:
    """CLI interface for cloud project client."""
    parser = argparse.ArgumentParser(prog="coditect-sync-client", description="Cloud Project Client")
    parser.add_argument("--register", help="Register project by local UUID")
    parser.add_argument("--resolve", help="Resolve local UUID to cloud UUID")
    parser.add_argument("--process-queue", action="store_true", help="Process offline queue")
    parser.add_argument("--queue-status", action="store_true", help="Show queue status")
    parser.add_argument("--api-url", help="Cloud API URL")
    parser.add_argument("--verbose", "-v", action="store_true", help="Verbose output")
    parser.add_argument("--socket", type=Path, help="The daemon's socket (default: the one of this user's daemon)")
    args = parser.parse_args(arguments)
    logging.basicConfig(level=logging.DEBUG if args.verbose else logging.INFO)
    try:
        _carry_out(args)
    except SyncError as error:
        # The surroundings name places that cannot be used.
        parser.exit(1, "%s: %s\n" % (parser.prog, error))
    return None


def _carry_out(args: argparse.Namespace) -> None:
    client = CloudProjectClient(api_url=args.api_url, socket=args.socket)
    if args.register:
        # What is not said the daemon finds out by looking at the folder.
        project = ProjectRegistration(args.register, project_name="", root_path=str(Path.cwd()))
        print("Result: %s" % client.register_project(project))
    elif args.resolve:
        cloud_uuid = client.resolve_uuid(args.resolve)
        print("Cloud UUID: %s" % cloud_uuid if cloud_uuid else "Not registered")
    elif args.process_queue:
        print("Processed %d items from queue" % client.process_queue())
    elif args.queue_status:
        print("Queue status: %s" % json.dumps(client.get_queue_status(), indent=2))
