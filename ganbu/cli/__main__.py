"""`python -m ganbu.cli`."""

from ganbu.cli import main

main()
