"""`python -m multiprune_conformance`."""

import sys

from multiprune_conformance.cli import main

sys.exit(main())
