"""``python -m multiprune_checkpoints``, the command."""

from multiprune_checkpoints.cli.main import main

if __name__ == "__main__":
    main()
