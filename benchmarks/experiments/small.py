"""$REPX_BENCH_JOBS trivial jobs and one that collects them: what a whole command in an empty store is measured with."""

import os

from repx import Inputs, Lab, Output, Run, bash, out


@bash
def make(data: Output = out("data.txt"), *, seed: int = 0):
    return 'echo "$seed" > "$data"'


@bash
def collect(data: Inputs, total: Output = out("total.txt")):
    return 'cat "${data[@]}" > "$total"'


def work():
    collect(data=[make(seed=seed).data for seed in range(int(os.environ.get("REPX_BENCH_JOBS", "1000")))])


lab = Lab([Run("small", work)])
