"""One job, and $REPX_BENCH_JOBS that take from it: what adopting is measured with, when the first is rewritten."""

import os

from repx import Input, Lab, Output, Run, bash, out

MADE = os.environ.get("REPX_BENCH_MADE", "echo 7")


@bash
def make(data: Output = out("data.txt")):
    return f'{MADE} > "$data"'


@bash
def use(data: Input, copy: Output = out("copy.txt"), *, seed: int = 0):
    return 'cat "$data" > "$copy"; echo "$seed" >> "$copy"'


jobs = int(os.environ.get("REPX_BENCH_JOBS", "1000"))
lab = Lab([Run("adopted", lambda: use(make()), params={"seed": range(jobs)})])
