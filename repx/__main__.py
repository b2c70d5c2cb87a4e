"""`python -m repx` is the `repx` command."""

from repx.cli.main import main

if __name__ == "__main__":
    main()
