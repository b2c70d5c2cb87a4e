"""A module docstring."""
u = u"kind" "joined" 'again'
a = f"{x}" "tail" f"more{y}" 'end'
b = "head" f"{x!r:>{width}}" f"{y!s}" f"{z:%Y-%m-%d}"
c = f"{x:}" f"" "" f"{{literal}} {x=} {x = !r} {x+1=:>5}"
d = f"""
multi {x
} line {(lambda v: v)(1)}
"""
e = rb"\raw" b"bytes" b'\xff'
g = "µ 長 \U0001F600 \N{SNOWMAN} \x00 \ud800"
h = f"{'nested'}" f"{d['k']:{'<'}{w}.{p}f}"
i = fr"\d{x}\n" rf'{y}'
j = f"{f'{x}in'}"
k = f"a" "b"
m = f'{x:{{}}}' if False else f"{x:a{y}b}"
n = f"{x!a}{y}{z}"
