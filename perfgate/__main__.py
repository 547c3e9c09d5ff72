"""``python -m perfgate``."""

import sys

from perfgate.cli.main import main

sys.exit(main())
