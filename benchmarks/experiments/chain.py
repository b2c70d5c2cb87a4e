"""A chain of $REPX_BENCH_JOBS jobs, each taking from the one before: what the time of a link is measured with."""

import os

from repx import Input, Lab, Output, Run, bash, out


@bash
def link(before: Input | None = None, after: Output = out("number.txt"), *, place: int = 0):
    return """number=0
if [[ -n $before ]]; then read -r number < "$before"; fi
echo "$((number + 1 + 0 * place))" > "$after"
"""


def chain():
    node = link()
    for place in range(1, int(os.environ.get("REPX_BENCH_JOBS", "1000"))):
        node = link(before=node.after, place=place)


lab = Lab([Run("chain", chain)])
