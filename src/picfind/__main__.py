"""`python -m picfind` is the `picfind` command."""

from picfind.cli.main import main

main()
