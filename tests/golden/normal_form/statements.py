from __future__ import annotations
import os, sys as system
from . import sibling
from ..pkg.mod import name as other, third
async def gather(*args, **kwargs):
    """Doc."""
    async with a as b, c: pass
    async for x in y: await z
    return [v async for v in w if v]
def f(a, /, b: int = 1, *c, d=None, e, **g) -> str:
    'Doc.'
    global q
    def inner():
        nonlocal b
        b += 1
    x: int
    y: list[int] = []
    (z): int = 1
    del x, y[0], z.w
    assert a, "m"
    raise E from None
def only_doc():
    """Nothing else."""
class K(Base, metaclass=Meta, **kw):
    """Doc."""
    __slots__ = ()
    @property
    def p(self): return super().p
class Empty: "doc"
try: pass
except* (A, B) as e: pass
else: pass
finally: pass
try: pass
except: raise
with (open(a) as b, open(c)): pass
for i, *rest in x: break
else: pass
while True: continue
match v:
    case 1 | -2 | 3 + 4j | "s" | None | True: pass
    case Point(0, y=1) as p if p: pass
    case [a, _, *rest] | (a, *_): pass
    case {"k": w, 1: _, **more}: pass
    case mod.CONST: pass
    case _: pass
x = y = 3; x @= 2; x //= 1; x >>= 2
