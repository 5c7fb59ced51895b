"""``python -m miri_background``: the program, for an environment that is on no PATH."""

import sys

from miri_background.program import main

sys.exit(main())
