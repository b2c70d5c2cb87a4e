"""What jobs find of a machine's software: the whole base, what their stage names, and nothing else by any way."""

from __future__ import annotations

import os
import shutil

import pytest

from tests.machine import optional
from tests.runtime.world import World, a_world

__all__ = ["a_world"]

ANY_WAY = """
@stage
def look(found: Output = out("found.txt")):
    import importlib, importlib.metadata, importlib.util, subprocess, sys
    lines = [str(importlib.util.find_spec("numpy")), str([one.name for one in importlib.metadata.distributions()])]
    for import_it in (importlib.import_module, __import__):
        try:
            import_it("numpy")
            lines.append("imported")
        except ImportError:
            lines.append("not there")
    for python in ("python3", sys.executable):
        done = subprocess.run([python, "-c", "import numpy"], capture_output=True, text=True)
        lines.append(done.stderr.strip().splitlines()[-1])
    found.write_text("\\n".join(lines))

lab = Lab(runs=[Run("r", look)])
"""


def test_a_module_that_nobody_named_cannot_be_imported_by_any_way(world: World) -> None:
    world.realize(ANY_WAY)
    assert world.run().status == 0
    missing = "ModuleNotFoundError: No module named 'numpy'"
    assert world.output("look", "found.txt").splitlines() == ["None", "[]", *["not there"] * 2, missing, missing]


NAMED = """
@stage(packages=["scikit-learn"])
def use(o: Output = out("o.txt")):
    import importlib.metadata
    import sys
    from sklearn.linear_model import LinearRegression
    model = LinearRegression().fit([[0], [1]], [0, 2])
    o.write_text(f"{model.coef_[0]:.1f} {importlib.metadata.version('numpy') > ''} {sys.prefix != sys.base_prefix}")

@bash(packages=["numpy"])
def shell(o: Output = out("o.txt")):
    return '''python3 -c 'import numpy; print(numpy.arange(3).sum())' > "$o" '''

lab = Lab(runs=[Run("r", [use, shell])])
"""


def test_what_is_named_is_there_with_what_it_requires(world: World) -> None:
    world.realize(NAMED.replace('Run("r", [use, shell])', "Run('r', use), Run('s', shell)"))
    assert world.run().status == 0
    assert world.output("use", "o.txt") == "2.0 True True"
    assert world.output("shell", "o.txt") == "3\n"


BASE = """
@stage
def work(o: Output = out("o.txt")):
    import subprocess
    command = "printf '2\\\\n1\\\\n2\\\\n' | sort | uniq"
    o.write_text(subprocess.run(command, shell=True, capture_output=True, text=True).stdout)

@bash
def indirect(o: Output = out("o.txt")):
    return '''
        for command in sort "sort -r"; do printf "1\\\\n2\\\\n" | $command; done > "$o"
    '''

lab = Lab(runs=[Run("r", work), Run("s", indirect)])
"""


def test_the_whole_base_is_there_though_nobody_sees_it_used(world: World) -> None:
    world.realize(BASE)
    done = world.run()
    assert done.status == 0, done.stderr
    assert world.output("work", "o.txt") == "1\n2\n"
    assert world.output("indirect", "o.txt") == "1\n2\n2\n1\n"


COMPILED = """
@bash(packages=["gcc"])
def build(o: Output = out("o.txt")):
    return '''
        echo "int puts(const char *); int main(void) { return puts(NOTE) < 0; }" > a.c
        gcc '-DNOTE="hi"' a.c -o program
        ./program > "$o"
    '''

lab = Lab(runs=[Run("r", build)])
"""


def test_a_compiler_finds_what_it_starts(world: World) -> None:
    optional(shutil.which("gcc"), "no gcc here")
    world.realize(COMPILED)
    done = world.run()
    assert done.status == 0, done.stderr
    assert world.output("build", "o.txt") == "hi\n"


OPTIONAL = """
try:
    from helper import total
except ImportError:
    def total():
        return "slow"

@stage
def work(o: Output = out("o.txt")):
    o.write_text(total())

lab = Lab(runs=[Run("r", work)])
"""


def test_what_an_optional_import_finds_is_there_and_counts(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    site = world.root / "site"
    monkeypatch.setenv("PYTHONPATH", str(site))
    monkeypatch.syspath_prepend(str(site))
    world.realize(OPTIONAL)
    world.run()
    assert world.output("work", "o.txt") == "slow"
    said = []
    for text in ("fast", "faster"):
        info = site / "helper-1.dist-info"
        info.mkdir(parents=True, exist_ok=True)
        (site / "helper.py").write_text(f"def total():\n    return {text!r}\n")
        (info / "METADATA").write_text("Metadata-Version: 2.1\nName: helper\nVersion: 1\n")
        (info / "RECORD").write_text("helper.py,,\nhelper-1.dist-info/RECORD,,\n")
        world.realize(OPTIONAL)
        world.run()
        said += [path.read_text() for path in world.store.glob("outputs/*-work-1/out/o.txt")]
    assert set(said) == {"slow", "fast", "faster"}


WRAPPED = """
@bash(packages=["tool"])
def work(o: Output = out("o.txt")):
    return 'tool "DIARY" > "$o"'

lab = Lab(runs=[Run("r", work)])
"""


def test_what_is_not_tracked_is_told_once_for_all(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = world.root / "bin"
    folder.mkdir()
    for name, text in (("tool", f'exec {folder}/real "$@"'), ("real", 'cat "$1"')):
        (folder / name).write_text(f"#!/bin/sh\n{text}\n")
        (folder / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    world.write(WRAPPED)
    done = world.repx("run", "experiment.py")
    assert done.status == 0, done.stderr
    assert f"work: {world.diary} is named by an absolute path" in done.stderr
    assert f"work: 'tool' is a wrapper ({folder}/tool)" in done.stderr
    assert done.stderr.count("warning: ") == 2
    assert "warning" not in world.repx("run").stderr
