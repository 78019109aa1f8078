"""`python -m services.cli`: the `kouan` command where the console script is not on the path, as in child processes."""

from __future__ import annotations

from services.cli import main

if __name__ == "__main__":
    main()
