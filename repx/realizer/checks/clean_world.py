"""Runs the top level of scripts as jobs would, and says what their names hold then; a program of its own.

Standard library only, and nothing of repx: started as `python -P clean_world.py PORTRAIT` with the wishes on standard
input, one JSON object a line, which are answered on standard output, a line each.
"""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import sys
import tempfile
import types


def main() -> None:
    """Answer all wishes; what a script prints goes nowhere."""
    portrait = _module(sys.argv[1])
    wishes = [json.loads(line) for line in sys.stdin]
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    null = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(null, descriptor)
    for wish in wishes:
        answers.write(_in_a_child(wish, portrait) + "\n")
        answers.flush()


def _module(path: str) -> types.ModuleType:
    spec = importlib.util.spec_from_file_location("_repx_portrait", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _in_a_child(wish: dict, portrait: types.ModuleType) -> str:  # type: ignore[type-arg]
    """Each script has a process and folders of its own: what it sets must not reach the next one."""
    folder = tempfile.mkdtemp(prefix="repx-")
    reader, writer = os.pipe()
    dumps = json.dumps  # a script may set another one
    child = os.fork()
    if child == 0:
        os.close(reader)
        try:
            answer = _answer(wish, portrait, folder)
        except BaseException as error:  # whatever a script does, there is an answer
            answer = {"error": f"{type(error).__name__}: {error}", "file": "", "line": 0}
        with os.fdopen(writer, "w", encoding="utf-8") as file:
            file.write(dumps(answer))
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader, encoding="utf-8") as file:
        text = file.read()
    os.waitpid(child, 0)
    shutil.rmtree(folder, ignore_errors=True)
    return text or json.dumps({"error": "the interpreter ended", "file": "", "line": 0})


def _answer(wish: dict, portrait: types.ModuleType, folder: str) -> dict:  # type: ignore[type-arg]
    library, empty, home = (os.path.join(folder, name) for name in ("lib", "empty", "home"))
    for path, text in wish["modules"]:
        target = os.path.join(library, path)
        os.makedirs(os.path.dirname(target), exist_ok=True)
        with open(target, "w", encoding="utf-8", errors="surrogatepass", newline="") as file:
            file.write(text)
    os.mkdir(empty)
    os.mkdir(home)
    os.environ.update(HOME=home, TMPDIR=home)
    os.chdir(empty)
    sys.path.insert(0, library)
    sys.argv = ["script"]
    sys.dont_write_bytecode = True
    read = _watched(folder)
    module = types.ModuleType("__main__")
    sys.modules["__main__"] = module
    try:
        code = compile(wish["script"], "<script>", "exec", dont_inherit=True)
        exec(code, vars(module))  # noqa: S102 - it is the user's own, and has just run in this user's experiment
    except BaseException as error:
        name, line = _place(error, library)
        return {"error": f"{type(error).__name__}: {error}", "file": name, "line": line}
    unloaded = [name for name in wish["locals"] if name not in sys.modules]
    outside = [[what, *place] for place, what in read.items()]
    return {"lines": lines_of(portrait, vars(module), wish), "unloaded": unloaded, "outside": outside}


def _watched(folder: str) -> dict:  # type: ignore[type-arg]
    """Where the script, or a module that travels with it, comes to read what neither travels nor is installed: a dict
    from places to what is read, which fills while the script runs. What is read while others are imported is theirs.
    """
    library = os.path.join(folder, "lib")
    installed = [library, os.path.join(folder, "home"), sys.prefix, sys.base_prefix, *filter(None, sys.path)]
    there = tuple(one.rstrip("/") + "/" for one in [*installed, "/usr", "/lib", "/etc", "/proc", "/sys", "/dev"])
    found: dict = {}  # type: ignore[type-arg]

    def place() -> tuple[str, int]:
        frame = sys._getframe(2)
        while frame is not None:
            name = frame.f_code.co_filename
            if name == "<script>":
                return ("", frame.f_lineno)
            if name.startswith(library + "/"):
                return (name[len(library) + 1 :], frame.f_lineno)
            if name.startswith("<frozen importlib"):
                break
            frame = frame.f_back  # type: ignore[assignment]
        return ("", 0)

    def heard(event: str, arguments: tuple) -> None:  # type: ignore[type-arg]
        if event in ("open", "os.listdir", "os.scandir"):
            path = arguments[0]
            if event == "open" and isinstance(arguments[2], int) and arguments[2] & os.O_ACCMODE == os.O_WRONLY:
                return
            if isinstance(path, int):
                return
            what = os.path.abspath(os.fsdecode(path or ".")).replace(os.path.join(folder, "empty"), ".")
            if what.startswith(there):
                return
        elif event == "subprocess.Popen":
            what = f"what {arguments[0]} says"
        elif event in ("os.system", "sqlite3.connect", "urllib.Request"):
            what = os.fsdecode(arguments[0])
        elif event == "socket.connect":
            what = "the network"
        else:
            return
        where = place()
        if where[1]:
            found.setdefault(where, what)

    sys.addaudithook(heard)
    return found


def lines_of(portrait: types.ModuleType, names: dict, wish: dict) -> dict:  # type: ignore[type-arg]
    """The portrait of what the wish asks for."""
    made = portrait.Portrait(["__main__", *wish["locals"]], wish["subclasses"])
    for name in wish["names"]:
        if name in names:
            made.add(name, names[name])
    for module, wanted in sorted(wish["locals"].items()):
        there = vars(sys.modules[module]) if module in sys.modules else {}
        for name in wanted:
            if name in there:
                made.add(f"{module}.{name}", there[name])
    for name, state in sorted(portrait.library_states(wish["libraries"]).items()):
        made.add(name, state)
    lines: dict = made.lines  # type: ignore[type-arg]
    return lines


def _place(error: BaseException, library: str) -> tuple[str, int]:
    """The innermost line of the script, or of a module that travels with it."""
    place = ("", error.lineno or 0) if isinstance(error, SyntaxError) else ("", 0)
    trace = error.__traceback__
    while trace is not None:
        name = trace.tb_frame.f_code.co_filename
        if name == "<script>":
            place = ("", trace.tb_lineno)
        elif name.startswith(library + "/"):
            place = (name[len(library) + 1 :], trace.tb_lineno)
        trace = trace.tb_next
    return place


if __name__ == "__main__":
    main()
