"""The script of a Python stage, which any runtime can start: the function as it was cut out, and what calls it."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator

from repx.agent.base.wire import InputSpec
from repx.model.derivation import StageRecipe


def python_script(recipe: StageRecipe, source: str) -> str:
    """The whole file; `source` is the place of the user's text, as people are told it."""
    assert recipe.script is not None
    text = recipe.script.text.rstrip("\n")
    head = f"#!/usr/bin/env python3\n# Stage {recipe.name} {recipe.version}, from {source}.\n{_STARTED}{text}\n\n"
    results = _RESULTS if any(spec.kind == "results" for spec in recipe.inputs) else ""
    body = "\n".join([*_call(recipe, recipe.script.entry), "", "", ""])
    return f'{head}{results}{_READING}{body}if __name__ == "__main__":\n    _repx_main()\n'


def _call(recipe: StageRecipe, entry: str) -> Iterator[str]:
    """The lines of the function that calls the stage's own, after the arguments have been read."""
    for directory in sorted({os.path.dirname(path) for _, path in recipe.outputs} - {""}):
        yield f"    os.makedirs(os.path.join(out, {json.dumps(directory)}), exist_ok=True)"
    yield "    os.chdir(out)"
    outputs = json.dumps([list(pair) for pair in recipe.outputs])
    yield f"    outputs = {{name: Path(out, path) for name, path in {outputs}}}"
    yield "    arguments = {}"
    for spec in recipe.inputs:
        yield from _input(spec)
    for name in recipe.params:
        value = f'params["{name}"]'
        yield f'    arguments["{name}"] = ' + (
            f"Path({value}) if {value} else None" if name in recipe.path_params else value
        )
    for name, _ in recipe.outputs:
        if name not in recipe.dynamic_output_names:
            yield f'    arguments["{name}"] = outputs["{name}"]'
    if recipe.dynamic_inputs:
        hidden = json.dumps(sorted({spec.name for spec in recipe.inputs} - set(recipe.signature_inputs)))
        yield f"    arguments = {{name: value for name, value in arguments.items() if name not in {hidden}}}"
        yield f'    arguments["inputs"] = {{name: Path(inputs[name]) for name in {hidden} if inputs.get(name)}}'
    if recipe.dynamic_outputs:
        yield '    arguments["outputs"] = outputs'
    if recipe.takes_index:
        yield '    arguments["index"] = params["index"]'
    yield "    sys.stdout.reconfigure(line_buffering=True)"
    yield f"    {entry}(**arguments)"


def _input(spec: InputSpec) -> Iterator[str]:
    name = spec.name
    if spec.kind == "paths":
        yield f'    arguments["{name}"] = [Path(path) for path in inputs.get("{name}") or []]'
    elif spec.kind == "item":
        yield f'    with open(inputs["{name}"], encoding="utf-8") as file:'
        yield f'        arguments["{name}"] = json.load(file)'
    elif spec.kind == "results":
        yield f'    arguments["{name}"] = _RepxResults(inputs["{name}"])'
    else:
        yield f'    arguments["{name}"] = Path(inputs["{name}"]) if inputs.get("{name}") else None'


_STARTED = "# Started as: <this file> OUT INPUTS.json PARAMS.json\n"

_RESULTS = '''
class _RepxNames(dict):
    """A dict that says, of a name it does not have, which it has."""

    def __missing__(self, name):
        raise KeyError(f"{name!r} is not here; there is {', '.join(self) or 'nothing'}")


class _RepxJob:
    """One job of an upstream run: its stage, its params (inherited ones too), its outputs as paths."""

    def __init__(self, line):
        from pathlib import Path

        self.stage = line["stage"]
        self.params = _RepxNames(line["params"])
        self.outputs = _RepxNames((name, Path(path)) for name, path in line["outputs"].items())

    def __repr__(self):
        return f"<job of {self.stage} {self.params}>"


class _RepxResults:
    """A whole upstream run, read from its file one job at a time."""

    def __init__(self, path):
        self._path = path

    def _read(self, state, stage, params):
        import json

        with open(self._path, encoding="utf-8") as lines:
            for line in lines:
                if not line.startswith('{"stage"'):
                    continue
                job = json.loads(line.rstrip().rstrip(","))
                wanted = all(name in job["params"] and job["params"][name] == value for name, value in params.items())
                if job["state"] == state and stage in (None, job["stage"]) and wanted:
                    yield _RepxJob(job)

    def jobs(self, stage=None, **params):
        return list(self._read("succeeded", stage, params))

    def failed(self, stage=None, **params):
        return list(self._read("failed", stage, params))


'''

_READING = """\
def _repx_main():
    import json
    import os
    import shutil
    import sys
    from pathlib import Path

    out, inputs_json, params_json = sys.argv[1:4]
    with open(inputs_json, encoding="utf-8") as file:
        inputs = json.load(file)
    with open(params_json, encoding="utf-8") as file:
        params = json.load(file)
    os.makedirs(out, exist_ok=True)
    for entry in os.scandir(out):
        shutil.rmtree(entry.path) if entry.is_dir(follow_symlinks=False) else os.unlink(entry.path)
"""
