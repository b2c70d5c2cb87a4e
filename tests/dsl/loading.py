"""A fixture that writes an experiment, loads it and forgets its modules again; knows nothing of what is tested."""

from __future__ import annotations

import importlib.util
import sys
import types
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

Load = Callable[..., types.FunctionType]


@pytest.fixture(name="load")
def loading(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Load]:
    """Writes an experiment and its files, loads it as `repx` would, and returns one function of it."""
    before = set(sys.modules)

    def load(text: str, files: dict[str, str] | None = None, name: str = "work") -> types.FunctionType:
        root = tmp_path / "user"
        write(root, {"experiment.py": text, **(files or {})})
        monkeypatch.syspath_prepend(root)
        spec = importlib.util.spec_from_file_location("experiment", root / "experiment.py")
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules["experiment"] = module
        spec.loader.exec_module(module)
        function = getattr(module, name)
        assert isinstance(function, types.FunctionType)
        return function

    yield load
    for loaded in set(sys.modules) - before:
        if str(getattr(sys.modules[loaded], "__file__", None) or "").startswith(str(tmp_path)):
            del sys.modules[loaded]
    for loaded in set(sys.modules) - before:
        if loaded.split(".")[0] in {"bits", "lab"}:
            del sys.modules[loaded]


def write(root: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(text.encode())
