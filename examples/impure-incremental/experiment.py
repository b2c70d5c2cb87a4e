"""The pure Lab: the sources are an input, stored and identified by their content; see impure.py for the other one."""

import stages

import repx
from repx import Lab, Run, nix

# Not the objects, which make leaves there when impure.py is run: they are no sources.
SOURCES = repx.files("src", match=r".*\.[ch]|Makefile")


def pipeline():
    stages.run(stages.build(sources=SOURCES))


lab = Lab(runs=[Run("greet", pipeline)], packages=nix("../nix-debian"), version="1.0.0")
