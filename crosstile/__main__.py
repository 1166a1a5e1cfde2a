"""`python -m crosstile` is `crosstile`."""

import sys

from crosstile.cli import main

sys.exit(main())
