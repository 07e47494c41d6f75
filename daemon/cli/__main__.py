"""`python -m daemon.cli` is wasupctl."""

from . import main

main()
