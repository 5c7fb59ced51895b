"""The command line as ``python -m miri_background.cli``."""

import sys

from miri_background.program import main

sys.exit(main())
