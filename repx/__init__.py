"""repx: experiments described in plain Python, built into one self-contained directory, run anywhere, queried by name.

Everything a user needs is here; names are imported when first used, so that `repx --help` costs next to nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from repx.analysis.experiment import Experiment as Experiment
    from repx.api import instantiate as instantiate
    from repx.api import realize as realize
    from repx.api import realize_many as realize_many
    from repx.dsl.experiment import Lab as Lab
    from repx.dsl.experiment import Run as Run
    from repx.dsl.experiment import hard as hard
    from repx.dsl.experiment import soft as soft
    from repx.dsl.fetch import fetch as fetch
    from repx.dsl.markers import Input as Input
    from repx.dsl.markers import Inputs as Inputs
    from repx.dsl.markers import Output as Output
    from repx.dsl.markers import Outputs as Outputs
    from repx.dsl.markers import Results as Results
    from repx.dsl.markers import WorkItem as WorkItem
    from repx.dsl.markers import out as out
    from repx.dsl.packages import host as host
    from repx.dsl.packages import nix as nix
    from repx.dsl.scan import dirs as dirs
    from repx.dsl.scan import files as files
    from repx.dsl.scan import path as path
    from repx.dsl.scan import scan as scan
    from repx.dsl.scatter import scatter_gather as scatter_gather
    from repx.dsl.select import best as best
    from repx.dsl.select import every as every
    from repx.dsl.select import exact as exact
    from repx.dsl.select import first as first
    from repx.dsl.select import latest as latest
    from repx.dsl.stage import bash as bash
    from repx.dsl.stage import stage as stage
    from repx.dsl.sweep import concat as concat
    from repx.dsl.sweep import product as product
    from repx.dsl.sweep import zip as zip  # noqa: A004 - reads as repx.zip
    from repx.errors import JobsFailedError as JobsFailedError
    from repx.errors import RepxError as RepxError
    from repx.model.resources import Resources as Resources
    from repx.model.retry import Retry as Retry
    from repx.model.values import package as package

from repx.agent.base.version import VERSION

__version__ = VERSION

_HOMES = {
    "repx.analysis.experiment": ("Experiment",),
    "repx.api": ("instantiate", "realize", "realize_many"),
    "repx.dsl.experiment": ("Lab", "Run", "hard", "soft"),
    "repx.dsl.fetch": ("fetch",),
    "repx.dsl.markers": ("Input", "Inputs", "Output", "Outputs", "Results", "WorkItem", "out"),
    "repx.dsl.packages": ("host", "nix"),
    "repx.dsl.scan": ("dirs", "files", "path", "scan"),
    "repx.dsl.scatter": ("scatter_gather",),
    "repx.dsl.select": ("best", "every", "exact", "first", "latest"),
    "repx.dsl.stage": ("bash", "stage"),
    "repx.dsl.sweep": ("concat", "product", "zip"),
    "repx.debugging": ("debug",),
    "repx.errors": ("JobsFailedError", "RepxError"),
    "repx.model.resources": ("Resources",),
    "repx.model.retry": ("Retry",),
    "repx.model.values": ("package",),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}

# `from repx import *` takes no built-in function from a file: there, zip goes on pairing up lists.
__all__ = ["__version__", *sorted(_HOME_OF.keys() - {"zip"})]


def __getattr__(name: str) -> Any:
    try:
        home = _HOME_OF[name]
    except KeyError:
        raise AttributeError(f"module 'repx' has no attribute {name!r}") from None
    value = getattr(import_module(home), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(["__version__", *_HOME_OF])
