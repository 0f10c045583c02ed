"""`python -m dreampose3d`: the command line."""

import sys

from dreampose3d.cli import main

sys.exit(main())
