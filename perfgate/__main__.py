"""``python -m perfgate``: the same as the command ``perfgate``."""

import sys

from perfgate.cli.main import main

sys.exit(main())
