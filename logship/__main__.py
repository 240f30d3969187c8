"""`python -m logship` is the command `logship`."""

from logship.cli.main import main

if __name__ == "__main__":
    main()
