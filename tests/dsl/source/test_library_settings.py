"""What the top level sets in a library travels with the stages that use this library, in its place, and counts."""

# ruff: noqa: E501 - each case is the text of a small file, in a line where it fits

from __future__ import annotations

import decimal
import os
import random
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from repx.dsl.source.cutout import cut_out
from tests.dsl.loading import Load, loading
from tests.dsl.source.test_cutout import run_elsewhere

__all__ = ["loading"]  # the fixture `load`


@pytest.fixture(autouse=True)
def _settings() -> Iterator[None]:
    """The tests' own process keeps its settings."""
    with decimal.localcontext():
        state, limit = random.getstate(), socket.getdefaulttimeout()
        yield
        random.setstate(state)
        os.environ.pop("REPX_TRIED", None)
        socket.setdefaulttimeout(limit)


SETTINGS = {
    "an attribute of what a call gives": "from decimal import Decimal, getcontext\ngetcontext().prec = 40\ndef work():\n    return str(Decimal(1) / 3)\n",
    "a call": "import decimal as d\nd.setcontext(d.Context(prec=5))\ndef work():\n    return str(d.Decimal(1) / 3)\n",
    "used by a helper": "import decimal as d\nd.getcontext().prec = 7\ndef h(): return d.Decimal(1) / 3\ndef work():\n    return str(h())\n",
    "used in the body": "import decimal\ndecimal.getcontext().prec = 7\ndef work():\n    from decimal import Decimal\n    return str(Decimal(1) / 3)\n",
    "used by a local module": "from decimal import getcontext\ngetcontext().prec = 7\nfrom conf import third\ndef work():\n    return third()\n",
    "with a value of the module": "import os\nfrom decimal import Decimal, getcontext\nN = len(os.getcwd())\ngetcontext().prec = N\ndef work():\n    return str(Decimal(1) / 3)\n",
    "of the whole process": "import socket as s\ns.setdefaulttimeout(7)\ndef work():\n    import socket\n    return socket.getdefaulttimeout()\n",
    "a seed": "import random\nrandom.seed(3)\ndef work():\n    return random.random()\n",
    "of a local module": "import conf\nconf.RATE = 5\nconf.TABLE['a'] = 1\ndef work():\n    return conf.rate()\n",
    "by a helper": "import decimal\ndef up(n):\n    decimal.getcontext().prec = n\nup(7)\ndef work():\n    return str(decimal.Decimal(1) / 3)\n",
    "by a helper of a helper, which imports it": "def deep():\n    import decimal as d\n    d.getcontext().prec = 9\ndef up(): deep()\nup()\ndef work():\n    import decimal\n    return str(decimal.Decimal(1) / 3)\n",
    "a seed by a helper": "import random\ndef set_seed(n):\n    random.seed(n)\nset_seed(3)\ndef work():\n    return random.random()\n",
    "by a helper of a local module": "import decimal\nfrom sets import up\nup()\ndef work():\n    return str(decimal.Decimal(1) / 3)\n",
    "by the import of a local module": "import decimal\nimport style\ndef work():\n    return str(decimal.Decimal(1) / 3)\n",
    "by the import of a plain value": "import decimal\nfrom style import COLOR\ndef work():\n    return str(decimal.Decimal(1) / 3), COLOR\n",
    "of the environment": "import os\nos.environ['REPX_TRIED'] = 'a'\ndef work():\n    import os\n    return os.environ['REPX_TRIED']\n",
    "of the environment by a helper": "import os\ndef up(): os.environ.update(REPX_TRIED='a')\nup()\ndef work():\n    import os\n    return os.environ['REPX_TRIED']\n",
    "after another one": "from decimal import Decimal, getcontext\ngetcontext().prec = 40\ngetcontext().prec -= 35\ndef work():\n    return str(Decimal(1) / 3)\n",
}
FILES = {
    "sets.py": "import decimal\ndef up(): decimal.getcontext().prec = 6\n",
    "style.py": "import decimal\ndecimal.getcontext().prec = 8\nCOLOR = 'red'\n",
    "conf.py": "from decimal import Decimal\nRATE = 1\nTABLE = {}\ndef rate(): return RATE, TABLE\ndef third(): return str(Decimal(1) / 3)\n",
}


@pytest.mark.parametrize("text", SETTINGS.values(), ids=SETTINGS.keys())
def test_the_job_has_the_setting_of_the_module(text: str, load: Load, tmp_path: Path) -> None:
    function = load(text, FILES)
    cut = cut_out(function)
    assert run_elsewhere(cut, {}, tmp_path / "job") == ascii(function())


def test_a_setting_counts(load: Load) -> None:
    forms = [cut_out(load(SETTINGS["a call"].replace("prec=5", f"prec={n}"))).normal_form for n in (5, 6)]
    assert forms[0] != forms[1]


@pytest.mark.parametrize(
    "text",
    [
        "import decimal\ndecimal.getcontext().prec = 7\ndef work():\n    return 1\n",
        "import random\nA = [1, 2]\nrandom.shuffle(A)\ndef work():\n    return A, random.random()\n",
        "import os, sys\nsys.path.insert(0, 'x')\nsys.path.pop(0)\ndef work():\n    return os.sep, sys.byteorder\n",
        "import logging\nlogging.info('started')\ndef work():\n    return logging.INFO\n",
        "import json, io\njson.dump([1], io.StringIO())\ndef work():\n    return json.dumps([1])\n",
    ],
)
def test_what_sets_nothing_that_the_stage_uses_stays(text: str, load: Load) -> None:
    source = cut_out(load(text)).source
    assert not any(word in source for word in ("prec", "shuffle", "path", "started", "dump("))


def test_an_import_for_its_effect_travels_with_the_library(load: Load) -> None:
    pytest.importorskip("numpy", reason="optional: no NumPy")
    text = "import numpy\nfrom numpy import ma as unused\nimport json as other\ndef work():\n    return numpy.pi\n"
    source = cut_out(load(text)).source
    assert "from numpy import ma as unused\n" in source
    assert "json" not in source
