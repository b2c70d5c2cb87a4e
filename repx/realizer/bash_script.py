"""The script of a Bash stage, which any runtime can start: the user's text, and what sets its variables before it.

The runtime of repx writes values as assignments in a file beside the JSON, so that no process is started for them;
without that file jq reads the JSON.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

from repx.agent.base.wire import InputSpec
from repx.agent.scratch import quote
from repx.model.derivation import StageRecipe


def bash_script(recipe: StageRecipe, source: str) -> str:
    """The whole file; `source` is the place of the user's text, as people are told it."""
    assert recipe.script is not None
    return "\n".join([*_lines(recipe, source, recipe.script.text.rstrip("\n")), ""])


def _lines(recipe: StageRecipe, source: str, text: str) -> Iterator[str]:
    outputs = [(name, f'"$out"/{quote(path)}') for name, path in recipe.outputs]
    yield "#!/usr/bin/env bash"
    yield f"# Stage {recipe.name} {recipe.version}, from {source}."
    yield "# Started as: <this file> OUT INPUTS.json PARAMS.json"
    yield "set -euo pipefail"
    yield "out=$1 inputs_json=$2 params_json=$3"
    yield "declare -A inputs=() params=()"
    yield f"declare -A outputs=({''.join(f'[{name}]={path} ' for name, path in outputs)})"
    yield 'if [[ -f "${params_json%.json}.sh" ]]; then'
    yield "  # The runtime wrote the same values as assignments and emptied $out, so that no process is started here."
    yield '  source "${params_json%.json}.sh"'
    yield "else"
    yield from _reading_json(recipe)
    yield "fi"
    yield from (f"{name}={path}" for name, path in outputs if name not in recipe.dynamic_output_names)
    yield 'cd -- "$out"'
    yield "set -x"
    yield f"# ---- {source} ----"
    yield text


def _reading_json(recipe: StageRecipe) -> Iterator[str]:
    yield _HELPERS
    for spec in recipe.inputs:
        yield from _input(spec)
    for name in (*recipe.params, *(("index",) if recipe.takes_index else ())):
        yield f"  IFS= read -r -d '' {name} < <(_repx_param {name})"
        has_value = f"jq -e --arg key {name} '.[$key] != null' \"$params_json\" > /dev/null"
        yield f"  if {has_value}; then params[{name}]=${name}; fi"
    yield '  mkdir -p -- "$out"'
    yield "  shopt -s nullglob dotglob"
    yield '  rm -rf -- "$out"/*'
    yield "  shopt -u nullglob dotglob"
    for directory in sorted({os.path.dirname(path) for _, path in recipe.outputs} - {""}):
        yield f'  mkdir -p -- "$out"/{quote(directory)}'


def _input(spec: InputSpec) -> Iterator[str]:
    name = spec.name
    if spec.kind == "paths":
        yield (
            f"  mapfile -d '' -t {name} < <(jq -j --arg key {name} "
            f'\'.[$key] // [] | .[] | . + "\\u0000"\' "$inputs_json")'
        )
        yield f"  printf -v 'inputs[{name}]' '%s\\n' ${{{name}[@]+\"${{{name}[@]}}\"}}"
        yield f"  inputs[{name}]=${{inputs[{name}]%$'\\n'}}"
    else:
        yield f"  IFS= read -r -d '' {name} < <(_repx_value \"$inputs_json\" {name})"
        yield f'  [[ -z "${name}" ]] || inputs[{name}]=${name}'


_HELPERS = r"""
  _repx_value() { jq -j --arg key "$2" '.[$key] | if . == null then "" else tostring end' "$1" && printf '\0'; }
  # A number is taken as it is written: jq makes a double of it, and of 1.0 then 1.
  _repx_param() {
    local number="\"$1\"[[:space:]]*:[[:space:]]*(-?[0-9][0-9.eE+-]*)"
    if [[ $(< "$params_json") =~ $number ]]; then printf '%s\0' "${BASH_REMATCH[1]}"; else _repx_value "$params_json" "$1"; fi
  }
""".strip("\n")  # noqa: E501 - a line of the script
