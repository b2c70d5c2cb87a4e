"""The impure Lab, for the time of developing: make in the source tree itself. Its results are not reproducible.

TREE is the source tree, by default `src` beside this file; REVISION any text that tells one state of it from another.
Both are read when the Lab is made, and are in it.
"""

import os
from pathlib import Path

import stages

from repx import Lab, Run, nix

TREE = os.path.abspath(os.environ.get("TREE", Path(__file__).resolve().parent / "src"))
REVISION = os.environ.get("REVISION", "unknown")


def pipeline():
    stages.run(stages.build_in_place(tree=TREE, revision=REVISION))


lab = Lab(runs=[Run("greet", pipeline)], packages=nix("../nix-debian"), version="1.0.0")
