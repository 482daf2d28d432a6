"""`python -m engine.cli`: the command line without an installed script."""

from engine.cli import main

main()
