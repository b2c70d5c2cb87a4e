"""Describes the objects of a module in lines that two processes can compare; does not know why anybody compares them.

Standard library only, and nothing of repx: the file is also run by interpreters that know no repx.
"""

from __future__ import annotations

import enum
import functools
import hashlib
import pathlib
import random
import re
import sys
import types
import warnings
from collections.abc import Iterable, Mapping
from typing import Any

LARGEST = 200_000
"""Objects, after which the rest is taken as it is."""

_NOT_COMPARED = frozenset(
    "__dict__ __weakref__ __module__ __doc__ __annotations__ __annotate__ __annotate_func__ __firstlineno__ "
    "__static_attributes__ __abstractmethods__ _abc_impl __orig_bases__ __parameters__ __dataclass_fields__ "
    "__dataclass_params__ __qualname__ __hash__ __annotations_cache__ __type_params__".split()
)
_FROM_AROUND = frozenset({"logging", "_io", "io", "threading", "_thread", "weakref", "multiprocessing.context"})
"""Modules whose objects are the process's: what is in them says nothing of what a script has made."""

_ATOMS = (
    type(None),
    bool,
    int,
    float,
    complex,
    str,
    bytes,
    type(...),
    type(NotImplemented),
    range,
    slice,
    pathlib.PurePath,
)


class Portrait:
    """Lines of `path: description`. What is defined in one of the `own` modules is looked into; all else has a name.

    With `subclasses`, a class is also described by what is derived from it.
    """

    def __init__(self, own: Iterable[str], subclasses: bool = False) -> None:
        self.own = frozenset(own)
        self._subclasses = subclasses
        self.lines: dict[str, str] = {}
        self._seen: dict[int, str] = {}
        self._kept: list[object] = []

    def add(self, path: str, value: object) -> None:
        """Describe an object, and all attributes of a class, each in a line of its own."""
        if isinstance(value, type) and value.__module__ in self.own and id(value) not in self._seen:
            self._note(path, value)
            self.lines[path] = f"class {value.__qualname__}({', '.join(self._named(base) for base in value.__bases__)})"
            if self._subclasses:
                self.lines[f"{path}.__subclasses__()"] = ", ".join(map(self._named, type.__subclasses__(value)))
            for name, one in sorted(vars(value).items()):
                if name not in _NOT_COMPARED:
                    self.lines[f"{path}.{name}"] = self._short(self._text(one, f"{path}.{name}"))
        elif isinstance(value, dict) and type(value) is dict and id(value) not in self._seen:
            self._note(path, value)
            for key, one in value.items():
                self.lines[f"{path}[{key!r:.60}]"] = self._short(self._text(one, f"{path}[{key!r:.60}]"))
            self.lines[path] = f"dict with {[f'{key!r:.60}' for key in value]}"
        else:
            self.lines[path] = self._short(self._text(value, path))

    def _short(self, text: str) -> str:
        if len(text) <= 200:
            return text
        return f"{text[:60]}… {hashlib.sha256(text.encode('utf-8', 'surrogatepass')).hexdigest()}"

    def _note(self, path: str, value: object) -> None:
        self._seen[id(value)] = path
        self._kept.append(value)  # an id is one only as long as its object lives

    def _text(self, value: object, path: str) -> str:
        if isinstance(value, enum.Enum):
            return f"{self._named(type(value))}.{value.name}"
        if isinstance(value, _ATOMS):
            return f"{value!r}" if type(value) in _ATOMS else f"{self._named(type(value))} {value!s:.200}"
        if id(value) in self._seen:
            return f"the same as {self._seen[id(value)]}"
        if len(self._kept) > LARGEST:
            return "more"
        self._note(path, value)
        if isinstance(value, types.ModuleType):
            return f"module {value.__name__}"
        if isinstance(value, type):
            return self._class(value, path)
        if (text := self._callable(value, path)) is not None:
            return text
        if (text := self._container(value, path)) is not None:
            return text
        return self._object(value, path)

    def _class(self, value: type, path: str) -> str:
        if value.__module__ not in self.own:
            return f"class {self._named(value)}"
        inner = sorted((name, one) for name, one in vars(value).items() if name not in _NOT_COMPARED)
        return f"class {value.__qualname__} {self._fields(inner, path)}"

    def _callable(self, value: object, path: str) -> str | None:
        if isinstance(value, types.FunctionType):
            if value.__module__ not in self.own:
                return f"function {value.__module__}.{value.__qualname__}"
            cells = [_cell(cell) for cell in value.__closure__ or ()]
            given = [value.__defaults__, value.__kwdefaults__, vars(value), cells]
            return f"function {value.__name__} {code_digest(value.__code__)} {self._text(given, path)}"
        if isinstance(value, types.MethodType):
            return f"method {self._text(value.__func__, path)} of {self._text(value.__self__, path)}"
        if isinstance(value, staticmethod | classmethod):
            return f"{type(value).__name__} {self._text(value.__func__, path)}"
        if isinstance(value, property):
            return f"property {self._text([value.fget, value.fset, value.fdel], path)}"
        if isinstance(value, functools.partial):
            return f"partial {self._text([value.func, value.args, value.keywords], path)}"
        if isinstance(value, types.BuiltinFunctionType):
            return f"function {value.__name__}"
        if isinstance(value, types.GeneratorType):
            frame = value.gi_frame
            state = [frame.f_lasti, dict(frame.f_locals)] if frame else None
            return f"generator {value.__name__} {self._text(state, path)}"
        if hasattr(value, "__wrapped__") and callable(value):
            return f"{type(value).__name__} of {self._text(value.__wrapped__, path)}"
        return None

    def _container(self, value: object, path: str) -> str | None:
        kind = self._named(type(value))
        if isinstance(value, Mapping) and hasattr(value, "items") and not hasattr(value, "_data"):
            return f"{kind} {self._fields(value.items(), path)}"
        if isinstance(value, set | frozenset):
            return f"{kind} {{{', '.join(sorted(self._text(one, path) for one in value))}}}"
        if isinstance(value, list | tuple):
            return f"{kind} [{', '.join(self._text(one, path) for one in value)}]"
        if isinstance(value, re.Pattern):
            return f"pattern {value.pattern!r} {value.flags}"
        if isinstance(value, random.Random):
            return f"{kind} {value.getstate()!r}"
        return self._of_numpy(value, kind, path)

    def _of_numpy(self, value: Any, kind: str, path: str) -> str | None:
        top = kind.partition(".")[0]
        if top == "numpy" and hasattr(value, "tobytes") and hasattr(value, "dtype"):
            if value.dtype.kind == "O":
                return f"{kind} {self._text(value.tolist(), path)}"
            digest = hashlib.sha256(value.tobytes()).hexdigest()
            return f"{kind} {value.dtype} {value.shape} {digest}"
        if top == "numpy" and hasattr(value, "bit_generator"):
            return f"{kind} {value.bit_generator.state!r}"
        if top == "numpy" and hasattr(value, "get_state"):
            return f"{kind} {value.get_state(legacy=False)!r}"
        if top == "pandas" and hasattr(value, "to_numpy"):
            parts = [value.to_numpy(), getattr(value, "index", None), getattr(value, "columns", None)]
            kinds = str(getattr(value, "dtypes", ""))
            return f"{kind} {kinds} {self._text([one for one in parts if one is not value], path)}"
        if top == "torch" and hasattr(value, "detach"):
            return f"{kind} {self._text(value.detach().cpu().numpy(), path)}"
        return None

    def _object(self, value: object, path: str) -> str:
        kind = type(value)
        if kind.__module__ in _FROM_AROUND:
            # A logger is often called like its module, which has another name in a job.
            name = getattr(value, "name", "")
            return f"{self._named(kind)} {'' if isinstance(name, str) and name in self.own else name}"
        fields = dict(getattr(value, "__dict__", {}))
        for base in kind.__mro__:
            slots = base.__dict__.get("__slots__", ())
            for name in [slots] if isinstance(slots, str) else slots:
                if name not in ("__dict__", "__weakref__") and hasattr(value, name):
                    fields[name] = getattr(value, name)
        if fields:
            return f"{self._named(kind)} {self._fields(sorted(fields.items()), path)}"
        if kind.__module__ in ("builtins", "itertools", "collections", "decimal", "fractions", "datetime"):
            try:
                return f"{self._named(kind)} {self._text(value.__reduce__(), path)}"
            except Exception:  # much of it cannot be taken apart
                return self._named(kind)
        return self._named(kind)

    def _fields(self, fields: Iterable[tuple[object, object]], path: str) -> str:
        return "{" + ", ".join(f"{self._text(name, path)}: {self._text(one, path)}" for name, one in fields) + "}"

    def _named(self, kind: type) -> str:
        """Without the module where it is the script's own, which is called otherwise in a job."""
        module = kind.__module__
        return kind.__qualname__ if module in self.own or module == "builtins" else f"{module}.{kind.__qualname__}"


def code_digest(code: types.CodeType) -> str:
    """What a function does, whatever file and line it stands at."""
    return hashlib.sha256(_code_text(code).encode("utf-8", "surrogatepass")).hexdigest()[:16]


def _code_text(code: types.CodeType) -> str:
    constants = [
        _code_text(one)
        if isinstance(one, types.CodeType)
        else f"{type(one).__name__} {sorted(map(repr, one)) if isinstance(one, frozenset) else repr(one)}"
        for one in code.co_consts
    ]
    names = (code.co_names, code.co_varnames, code.co_freevars, code.co_cellvars)
    return repr((code.co_name, code.co_code.hex(), code.co_argcount, code.co_kwonlyargcount, constants, names))


def _cell(cell: types.CellType) -> object:
    try:
        return cell.cell_contents
    except ValueError:
        return None


_NUMPY_ERRORS = {"divide": "warn", "over": "warn", "under": "ignore", "invalid": "warn"}
_NUMPY_PRINTS = {"precision": 8, "threshold": 1000, "edgeitems": 3, "linewidth": 75, "suppress": False, "sign": "-"}
_SKLEARN = {"assume_finite": False, "transform_output": "default", "enable_metadata_routing": False}

_CHOSEN = frozenset({"backend", "backend_fallback", "interactive", "toolbar", "date.epoch"})
"""What matplotlib sets by itself, by what it finds on the machine."""


def library_states(modules: Iterable[str]) -> dict[str, object]:
    """The settings of libraries that are not as they come, of those among `modules` that can be asked."""
    now: Mapping[str, object]
    found: dict[str, object] = {}
    used = set(modules)
    there: dict[str, Any] = {name: module for name, module in sys.modules.items() if name.partition(".")[0] in used}
    try:
        if "decimal" in there:
            contexts = there["decimal"].Context(), there["decimal"].getcontext()
            names = ("prec", "rounding", "Emin", "Emax", "clamp")
            plain, now = ({name: str(getattr(one, name)) for name in names} for one in contexts)
            found["decimal.getcontext()"] = _other(plain, now)
        if "random.seed" in used and "random" in there:
            found["random.seed"] = there["random"].getstate()
        if "numpy.random.seed" in used and "numpy" in there:
            found["numpy.random.seed"] = str(there["numpy"].random.get_state(legacy=False))
        if "numpy" in there:
            found["numpy.seterr"] = _other(_NUMPY_ERRORS, there["numpy"].geterr())
            found["numpy.set_printoptions"] = _other(_NUMPY_PRINTS, there["numpy"].get_printoptions())
        if "sklearn" in there:
            found["sklearn.set_config"] = _other(_SKLEARN, there["sklearn"].get_config())
        if "matplotlib" in there:
            both = there["matplotlib"].rcParamsDefault, there["matplotlib"].rcParams
            plain, now = ({name: repr(one[name]) for name in one if name not in _CHOSEN} for one in both)
            found["matplotlib.rcParams"] = _other(plain, now)
        if "pandas" in there:
            registered = there["pandas"]._config.config._registered_options
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # some options are deprecated
                now = {name: repr(there["pandas"].get_option(name)) for name in registered}
            found["pandas.options"] = _other({name: repr(one.defval) for name, one in registered.items()}, now)
    except Exception:  # another version of a library may have no such thing
        return {name: state for name, state in found.items() if state}
    return {name: state for name, state in found.items() if state}


def _other(plain: Mapping[str, object], now: Mapping[str, object]) -> dict[str, object]:
    return {name: now[name] for name in plain if name in now and now[name] != plain[name]}
