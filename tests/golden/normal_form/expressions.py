a = [1, 2.5, 1e400, -0.0, 1e-7, 3j, 0x_FF, 0b11, 10**20, 123456789012345678901234567890, True, None, ..., "", b"", 1_000.5]
b = {**x, 1: 2, 'k': [*y, *z], None: {1, 2}}
c = lambda a, *b, c=1, **d: (yield)
d = (a if b else c, not a, a and b or c, a < b <= c is not d not in e)
e = x[1], x[1:2], x[::2, ..., 1:], x[a, *b], x[()], x[:]
g = f(a, *b, k=c, **d)(1)[2].e
h = [x + y for x in a if x if y for y in b], {x for x in a}, {k: v for k, v in z}, (x for x in a)
i = (y := 1) + [y := 2 for _ in x][0]
j = ~a ** -b % c // d @ e << f >> g & h ^ i | j
k = await_ + a.b.c
ªº = ﬁ
