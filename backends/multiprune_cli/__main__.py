"""``python -m multiprune_cli``."""

from multiprune_cli.main import main

if __name__ == "__main__":
    main()
