"""`python agent worker STORE RUNNER NUMBER`: the one entry of the agent."""

from __future__ import annotations

import sys


def main(argv: list[str]) -> int:
    """Start what the first word names."""
    if argv[:1] == ["worker"] and len(argv) == 4:
        from repx.agent import worker_process

        return worker_process.main(argv[1:])
    sys.stderr.write("usage: agent worker STORE RUNNER NUMBER\n")
    return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
