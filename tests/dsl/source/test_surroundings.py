"""What a job would make again out of its surroundings is refused with its line, also where they agree today."""

# ruff: noqa: E501 - each case is the text of a small file, in a line where it fits

from __future__ import annotations

from pathlib import Path

import pytest

from repx.dsl.source.cutout import cut_out
from repx.errors import DefinitionError
from tests.dsl.loading import Load, loading

__all__ = ["loading"]  # the fixture `load`

READ = {
    "the environment": ("import os, re\np = re.compile(os.environ.get('NOT_THERE', 'a'))\n", 2, "os.environ"),
    "the environment by a function": ("import re\nfrom os import getenv as g\np = re.compile(g('NOT_THERE', 'a'))\n", 3, "os.getenv"),
    "a key of the environment": ("from os import environ\nclass p:\n    here = environ['PATH']\n", 3, "os.environ"),
    "whether something is in the environment": ("import os\nclass p:\n    if 'NOT_THERE' in os.environ:\n        a = 1\n", 3, "os.environ"),
    "in a try": ("import os, re\nclass p:\n    try:\n        a = os.environ['NOT_THERE']\n    except KeyError:\n        a = 1\n", 4, "os.environ"),
    "in a helper": ("import os, re\ndef pattern():\n    return os.environ.get('NOT_THERE', 'a')\np = re.compile(pattern())\n", 3, "os.environ"),
    "in a helper of a helper": ("import os, re\ndef a():\n    return os.getcwd()\ndef b():\n    return a()[:0]\np = re.compile(b())\n", 3, "os.getcwd"),
    "in a method": ("import sys\nclass C:\n    def __init__(self):\n        self.set()\n    def set(self):\n        self.n = len(sys.argv)\np = C()\n", 6, "sys.argv"),
    "in a base class": ("import time\nclass B:\n    def __init__(self):\n        self.n = time.time() < 0\nclass C(B): pass\np = C()\n", 4, "time.time"),
    "in a data class": ("import os\nfrom dataclasses import dataclass\n@dataclass\nclass C:\n    n: int = 1\n    def __post_init__(self):\n        self.f = [len, os.getpid() < 0]\np = C()\n", 7, "os.getpid"),
    "in a decorator": ("import os\ndef d(f):\n    f.n = os.environ.get('NOT_THERE')\n    return f\n@d\ndef p(): return 1\n", 3, "os.environ"),
    "in a decorator with arguments": ("import os\ndef d(n):\n    def inner(f):\n        f.n = os.environ.get('NOT_THERE')\n        return f\n    return inner\n@d(1)\ndef p(): return 1\n", 4, "os.environ"),
    "in the arguments of a decorator": ("import os, functools\n@functools.lru_cache(maxsize=len(os.getcwd()))\ndef p(): return 1\n", 2, "os.getcwd"),
    "in a default": ("import time\ndef p(x=time.time() < 0): return x\n", 2, "time.time"),
    "in a default by keyword": ("import time\ndef p(*, x=time.time() < 0): return x\n", 2, "time.time"),
    "when a class is derived": ("import os\nclass B:\n    def __init_subclass__(cls):\n        cls.n = os.getcwd() == ''\nclass p(B): pass\n", 4, "os.getcwd"),
    "by map": ("import os, re\ndef read(x): return str(os.stat('/dev/null').st_size)\np = [re.compile(x) for x in map(read, 'a')]\n", 2, "os.stat"),
    "the clock": ("from datetime import datetime\nclass p:\n    late = datetime.now().year > 1900\n", 3, "datetime.datetime.now"),
    "chance": ("import random, re\np = re.compile('a' * (random.random() < 2))\n", 2, "random.random"),
    "a generator that chance seeds": ("import random\np = random.Random()\n", 2, "random.Random"),
    "a file": ("from pathlib import Path\nclass p:\n    a = Path('/dev/null').read_text()\n", 3, "read_text"),
    "whether there is a file": ("import os\nclass p:\n    a = os.path.exists('nowhere')\n", 3, "os.path.exists"),
    "a folder": ("import glob, re\np = [re.compile(x) for x in glob.glob('*.nothing')] or len\n", 2, "glob.glob"),
    "another program": ("import subprocess, re\np = re.compile(subprocess.check_output(['true']).decode())\n", 2, "subprocess"),
    "the arguments": ("import argparse\nclass p:\n    a = argparse.ArgumentParser().parse_args\n    b = len(__import__('sys').argv)\n    import sys\n    c = sys.argv == 1\n", 6, "sys.argv"),
}  # fmt: skip


@pytest.mark.parametrize(("made", "line", "name"), READ.values(), ids=READ.keys())
def test_a_statement_that_reads_what_is_around_is_refused(
    made: str, line: int, name: str, load: Load, tmp_path: Path
) -> None:
    function = load(made + "def work():\n    return p\n")
    with pytest.raises(DefinitionError) as raised:
        cut_out(function)
    assert str(raised.value.location) == f"{tmp_path}/user/experiment.py:{line}", str(raised.value)
    assert name in raised.value.headline
    assert "reads" in raised.value.headline
    assert "plain values travel" in raised.value.hint


LOCAL = {
    "a name": ("import os\nN = int(os.environ.get('NOT_THERE', 3))\n", "lab.N", 2),
    "what a function needs": ("import os\nN = os.environ.get('NOT_THERE')\ndef f(): return N\n", "lab.f()", 2),
    "an effect": ("import os, logging\nlogging.raiseExceptions = 'NOT_THERE' not in os.environ\nN = 1\n", "lab.N", 2),
    "by another module": ("import re\nfrom other import g\nN = re.compile(g())\n", "lab.N", 3),
}


@pytest.mark.parametrize(("text", "used", "line"), LOCAL.values(), ids=LOCAL.keys())
def test_a_local_module_that_reads_what_is_around_is_refused(
    text: str, used: str, line: int, load: Load, tmp_path: Path
) -> None:
    files = {"lab.py": text, "other.py": "import os\n\ndef g(): return os.environ.get('NOT_THERE', 'a')\n"}
    with pytest.raises(DefinitionError) as raised:
        cut_out(load(f"import lab\ndef work():\n    return {used}\n", files))
    where = "other.py" if "other" in text else "lab.py"
    assert str(raised.value.location) == f"{tmp_path}/user/{where}:{line}"
    assert "os.environ" in raised.value.headline


NOT_READ = [
    "import os\nN = os.environ.get('PATH')\nclass p:\n    n = N\n",
    "import os\nclass p:\n    def m(self): return os.environ\n    f = lambda: os.getcwd()\n    join = os.path.join('a', 'b')\n",
    "import random\nrandom.seed(1)\nclass p:\n    n = random.random()\nrandom.seed(1)\n",
    "import random\nrandom.seed(7)\np = random.Random(3)\n",
    "import logging, re, argparse\nparser = argparse.ArgumentParser()\nlog = logging.getLogger(__name__)\nclass p:\n    m = parser.parse_args\n    a = (log, 1)\n",
    "import time, datetime\nclass p:\n    wait = time.sleep\n    day = datetime.date(2020, 1, 1)\n",
    "import os\nos.environ['A'] = '1'\nos.environ.setdefault('B', '2')\nclass p: n = os.sep\n",
    "class Store:\n    def read(self): return open('x')\n    def open(self): return 1\np = Store()\nq = p.open\n",
    "def open(x): return x\nclass p:\n    a = open(1)\n",
    "import os\ndef never(): return os.environ['A']\nclass p:\n    f = never\n",
]  # fmt: skip


@pytest.mark.parametrize("made", NOT_READ)
def test_what_reads_nothing_is_cut_out(made: str, load: Load) -> None:
    assert cut_out(load(made + "def work():\n    return p\n")).name == "work"


def test_a_time_that_nobody_asks_a_local_module_for_does_not_matter(load: Load) -> None:
    files = {"lab.py": "import time\nSTARTED = time.time()\ndef f(): return 1\n"}
    assert cut_out(load("import lab\ndef work():\n    return lab.f()\n", files)).name == "work"


def test_what_is_set_in_the_environment_travels(load: Load) -> None:
    text = "import os, json\nos.environ['A'] = '1'\ndef work():\n    return json.dumps(1)\n"
    assert "os.environ['A'] = '1'" in cut_out(load(text)).source
