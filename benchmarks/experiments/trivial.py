"""$REPX_BENCH_JOBS independent trivial jobs: what running is measured with."""

import os

from repx import Lab, Output, Run, bash, out


@bash
def make(data: Output = out("data.txt"), *, seed: int = 0):
    return 'echo "$seed" > "$data"'


jobs = int(os.environ.get("REPX_BENCH_JOBS", "1000"))
lab = Lab([Run("trivial", make, params={"seed": range(jobs)})])
