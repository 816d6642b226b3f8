"""``python -m training train ...``: the training commands of ``clipserve``."""

import sys

from clipserve import main

if __name__ == "__main__":
    sys.exit(main())
