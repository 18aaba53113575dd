"""``python -m coditect_sync_client``."""

import sys

from .cli import main

sys.exit(main())
