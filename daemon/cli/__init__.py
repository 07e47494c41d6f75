"""wasupctl, the command line of the daemon.

Owns: arguments, what people and scripts are shown, exit codes. Must not know: the daemon's inside; all
that it says and hears goes over the channel, by `protocol.client`.
"""

import sys
from typing import NoReturn

from .failures import INTERRUPTED


def main() -> NoReturn:
    """Run wasupctl with the arguments of this process, and end the process."""
    try:
        from .program import run  # here, so that Ctrl-C during the imports ends as quietly as later

        code = run(sys.argv[1:])
    except KeyboardInterrupt:
        code = INTERRUPTED
    sys.exit(code)
