"""``python -m v2gpki``: the same as the command ``v2gpki``."""

from v2gpki.cli import main

if __name__ == "__main__":
    main()
