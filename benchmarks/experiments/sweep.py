"""A two-stage sweep of $REPX_BENCH_JOBS jobs: what instantiating, realizing and listing are measured with."""

import os

from repx import Input, Lab, Output, Run, bash, out


@bash
def make(data: Output = out("data.txt"), *, seed: int = 0):
    return 'echo "$seed" > "$data"'


@bash
def double(data: Input, result: Output = out("result.txt")):
    return 'read -r number < "$data"; echo "$((number * 2))" > "$result"'


def pair():
    double(make())


jobs = int(os.environ.get("REPX_BENCH_JOBS", "1000"))
lab = Lab([Run("sweep", pair, params={"seed": range(jobs // 2)})])
