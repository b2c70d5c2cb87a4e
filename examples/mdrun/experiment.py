"""The code sections of a Markdown file as stages, one after the other, and the file with what each of them printed."""

import ast
import contextlib
import io
import pickle
import re
import sys
from pathlib import Path
from types import ModuleType

import repx
from repx import Input, Inputs, Lab, Output, Run, out, stage

SECTION = re.compile(r"^```python\n(.*?)^```\n", re.MULTILINE | re.DOTALL)


@stage(packages=["python3"])
def section(
    definitions: Input | None = None,
    values: Input | None = None,
    defined: Output = out("definitions.py"),
    held: Output = out("values.pickle"),
    printed: Output = out("printed.txt"),
    *,
    code: str,
):
    "Go on where the section before has left off: make its imports, functions and classes again, read its values."
    module = sys.modules["document"] = ModuleType("document")
    names = vars(module)
    before = definitions.read_text() if definitions else ""
    exec(before, names)
    names.update(pickle.loads(values.read_bytes()) if values else {})
    with contextlib.redirect_stdout(io.StringIO()) as said:
        exec(code, names)
    made_again = (ast.Import, ast.ImportFrom, ast.FunctionDef, ast.ClassDef)
    ours = [ast.unparse(node) + "\n" for node in ast.parse(code).body if isinstance(node, made_again)]
    fresh = ModuleType("document")
    exec(before + "".join(ours), vars(fresh))
    kept = {name: value for name, value in names.items() if name not in vars(fresh)}
    defined.write_text(before + "".join(ours))
    held.write_bytes(pickle.dumps(kept))
    printed.write_text(said.getvalue())


@stage(packages=["python3"])
def paste(document: Input, printed: Inputs, page: Output = out("page.md")):
    results = iter(printed)

    def with_result(found):
        return f"{found[0]}\n```result\n{next(results).read_text()}```\n"

    page.write_text(SECTION.sub(with_result, document.read_text()))


def document():
    text = Path("document.md").read_text()
    definitions, values, printed = None, None, []
    for code in SECTION.findall(text):
        ran = section(definitions=definitions, values=values, code=code)
        definitions, values = ran.defined, ran.held
        printed.append(ran.printed)
    paste(document=repx.path("document.md"), printed=printed)


lab = Lab(runs=[Run("document", document)], version="1.0.0")
