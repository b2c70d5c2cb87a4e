"""The entries of the agent: `worker STORE RUNNER NUMBER` for a runner, `run … JOB` for one job by itself."""

from __future__ import annotations

import sys


def main(argv: list[str]) -> int:
    """Start what the first word names."""
    if argv[:1] == ["worker"] and len(argv) == 4:
        from repx.agent import worker_process

        return worker_process.main(argv[1:])
    if argv[:1] == ["run"]:
        from repx.agent import one_job

        return one_job.main(argv[1:])
    sys.stderr.write("usage: agent worker STORE RUNNER NUMBER\n       agent run --store STORE --lab LAB JOB\n")
    return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
