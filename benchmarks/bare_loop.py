"""Start one Bash script many times, `slots` at once, each in an output directory of its own: the floor for any runner.

python bare_loop.py DIRECTORY JOBS SLOTS      DIRECTORY holds inputs.json, params.json and params.sh
"""

from __future__ import annotations

import os
import sys
from pathlib import Path


def main(directory: str, jobs: int, slots: int) -> None:
    script = str(next(iter(sorted((Path(directory).parent / "result").resolve().glob("store/*/bin/*")))))
    quiet = os.open(os.devnull, os.O_WRONLY)
    actions = [(os.POSIX_SPAWN_DUP2, quiet, 2)]
    running = 0
    for number in range(jobs):
        out = f"{directory}/{number}"
        os.mkdir(out)
        argv = ["bash", script, out, f"{directory}/inputs.json", f"{directory}/params.json"]
        os.posix_spawn("/bin/bash", argv, os.environ, file_actions=actions)
        running += 1
        if running >= slots:
            os.wait()
            running -= 1
    for _ in range(running):
        os.wait()


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
