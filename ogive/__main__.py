"""`python -m ogive`: the command."""

from ogive.cli import main

if __name__ == "__main__":
    main()
