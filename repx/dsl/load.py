"""Load an experiment file and find its Lab; turns whatever goes wrong in it into one clear error."""

from __future__ import annotations

import importlib.util
import linecache
import sys
import traceback
from pathlib import Path
from types import ModuleType

from repx.dsl.experiment import Lab
from repx.dsl.typos import unknown_name
from repx.errors import DefinitionError, RepxError, SourceLocation, nearest

_EXPERIMENT = object()
"""Marks the modules of experiments, which may replace each other."""


def load_experiment(path: str) -> Lab:
    """The one Lab that the file at `path` binds at module level. Raises DefinitionError.

    The file's folder is first on the module search path, as if it were run as a script. No bytecode is written.
    """
    module, imported = _execute(path)
    labs = {id(value): (name, value) for name, value in vars(module).items() if isinstance(value, Lab)}
    if not labs:
        raise DefinitionError(
            f"{path} defines no Lab", hint="end the file with: lab = Lab(runs=[…])", location=SourceLocation(path, 1)
        )
    if len(labs) > 1:
        raise DefinitionError(
            f"{path} defines {len(labs)} Labs",
            facts=[(name, lab.location) for name, lab in labs.values()],
            hint="keep one Lab in a file; put what is shared into a module beside it",
        )
    lab = next(iter(labs.values()))[1]
    lab.modules = imported
    return lab


def _execute(path: str) -> tuple[ModuleType, tuple[str, ...]]:
    """The module, and the files beside it that it has imported."""
    file = Path(path)
    if file.is_dir():
        raise DefinitionError(f"{path} is a directory", hint=f"name the file: {file / 'experiment.py'}")
    if not file.is_file():
        others = [str(other) for other in file.parent.glob("*.py") if other.is_file()]
        raise DefinitionError(f"there is no file {path}", hint=nearest(path, others))
    resolved = file.resolve()
    name = _module_name(resolved.stem)
    spec = importlib.util.spec_from_file_location(name, resolved)
    if spec is None or spec.loader is None:
        raise DefinitionError(f"{path} is not a Python file", hint="an experiment is a file that ends in .py")
    spec.loader_state = _EXPERIMENT
    module = importlib.util.module_from_spec(spec)
    folder = str(resolved.parent)
    writes_bytecode, sys.dont_write_bytecode = sys.dont_write_bytecode, True
    known = set(sys.modules)
    imported: list[str] = []
    sys.path.insert(0, folder)
    # Annotations are evaluated by module name; a stage's module must be found while its Lab is in use.
    sys.modules[name] = module
    linecache.checkcache(str(resolved))
    try:
        spec.loader.exec_module(module)
    except RepxError as error:
        # Resources(…) and others do not look for their caller: the traceback gives the place of their errors.
        error.location = error.location or _last_place(resolved, error)
        raise
    except SyntaxError as error:
        raise DefinitionError(
            f"{Path(error.filename or path).name} is not valid Python: {error.msg}",
            facts=[("line", error.text.rstrip())] if error.text else [],
            location=SourceLocation(error.filename or path, error.lineno or 1),
        ) from None
    except SystemExit as error:
        raise DefinitionError(
            f"{path} ended the program: SystemExit({error.code!r})", location=_last_place(resolved, error)
        ) from None
    except Exception as error:
        raise _failed(path, resolved, error) from None
    finally:
        sys.dont_write_bytecode = writes_bytecode
        sys.path.remove(folder)
        # Modules beside the experiment belong to it: the next experiment may have others of the same names.
        for other in set(sys.modules) - known:
            origin = getattr(sys.modules[other], "__file__", None) or ""
            if other != name and origin.startswith(folder + "/") and "site-packages" not in origin:
                del sys.modules[other]
                imported.append(origin)
    return module, tuple(imported)


def _module_name(stem: str) -> str:
    """What the experiment's module is called: never as one that is there, or `repx.py` would stand for the tool."""
    there = sys.modules.get(stem)
    is_taken = there is not None and getattr(there.__spec__, "loader_state", None) is not _EXPERIMENT
    return f"{stem} (experiment)" if is_taken or stem in sys.stdlib_module_names else stem


def _failed(path: str, resolved: Path, error: Exception) -> DefinitionError:
    """The error at the user's own last line of a traceback; frames of repx and of libraries do not show the mistake."""
    last = _last_frame(resolved, error)
    location = _last_place(resolved, error) or SourceLocation(path, 1)
    facts = [("line", last.line)] if last and last.line else []
    known = unknown_name(error)
    if known is not None:
        return DefinitionError(known[0], facts=facts, location=location, hint=known[1])
    hint = ""
    if isinstance(error, ModuleNotFoundError):
        hint = "what a stage needs only when it runs can be imported inside its body"
    return DefinitionError(f"{path} failed: {type(error).__name__}: {error}", facts=facts, location=location, hint=hint)


def _last_frame(resolved: Path, error: BaseException) -> traceback.FrameSummary | None:
    """The innermost frame of the experiment's folder."""
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if frame.filename.startswith(str(resolved.parent))]
    return own[-1] if own else None


def _last_place(resolved: Path, error: BaseException) -> SourceLocation | None:
    last = _last_frame(resolved, error)
    return SourceLocation(last.filename, last.lineno or 1) if last else None
