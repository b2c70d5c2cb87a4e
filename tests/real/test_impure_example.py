"""A build in the source tree itself, and one in a copy, by the commands of the example's README."""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from repx.agent.base.files import remove_tree
from tests.machine import needs_programs
from tests.real.examples import IN_BASH, Example, lines_of
from tests.real.worlds import world

pytestmark = pytest.mark.real

SHOW_IMPURE = "repx show output --lab ./impure build_in_place made"


@pytest.fixture
def incremental(common_store: Path) -> Iterator[Example]:
    """Not below /tmp, which is another one in a sandbox."""
    needs_programs("bwrap")
    place = Path(tempfile.mkdtemp(prefix="repx-", dir="/var/tmp"))
    with world(common_store) as made:
        yield Example("impure-incremental", made, place)
    remove_tree(str(place))


def test_make_in_the_tree_compiles_what_changed_and_a_pure_lab_compiles_everything_elsewhere(
    incremental: Example,
) -> None:
    lines = lines_of("impure-incremental")
    first, touch = lines.index(SHOW_IMPURE), lines.index("touch src/count.c")
    second, pure = lines.index(SHOW_IMPURE, touch), lines.index("repx realize experiment.py")
    *_, made = [incremental.line(line) for line in lines[: first + 1]]
    assert compiled(made) == ["count.c", "greeting.c", "main.c"]
    said = incremental.line("repx show output --lab ./impure run said")
    incremental.line(lines[touch])
    assert "nothing to run" in incremental.line("repx run --lab ./impure --bwrap")
    *_, made = [incremental.line(line) for line in lines[touch + 1 : second + 1]]
    assert compiled(made) == ["count.c"]
    before = tree(incremental.folder / "src")
    purely = [incremental.line(line) for line in lines[pure:]]
    assert lines[pure:][2:] == ["repx show output run said", "repx show output build made"]
    assert purely[2] == said == "Hello from, 3 files!\n"
    assert compiled(purely[3]) == ["count.c", "greeting.c", "main.c"]
    assert tree(incremental.folder / "src") == before


def test_an_edit_reaches_an_impure_lab_by_force_and_a_pure_one_by_itself(incremental: Example) -> None:
    for experiment in ("impure", "experiment"):
        incremental.line(f"repx realize {experiment}.py -o {experiment} && repx run --lab ./{experiment} --bwrap")
    count = incremental.folder / "src" / "count.c"
    count.write_text(count.read_text().replace("return 3", "return 4"))

    def said(experiment: str, *words: str) -> str:
        incremental.line(f"repx realize {experiment}.py -o {experiment}")
        incremental.line(" ".join(["repx run --bwrap --lab", f"./{experiment}", *words]))
        return incremental.line(f"repx show output --lab ./{experiment} run said")

    assert said("experiment") == "Hello from, 4 files!\n"
    assert said("impure") == "Hello from, 3 files!\n"
    assert said("impure", "--force") == "Hello from, 4 files!\n"


def test_another_revision_is_another_job(incremental: Example) -> None:
    incremental.line("repx realize impure.py -o impure && repx run --lab ./impure --bwrap")
    (incremental.folder / "src" / "count.c").touch()
    [line] = re.findall(r"(?m)^ {8}(REVISION=.*)$", (incremental.folder / "README.md").read_text())
    # The source of another revision is the same here, so that what takes it need not run again.
    assert "1 job ran, 1 took the result" in incremental.line(line)
    assert compiled(incremental.line(SHOW_IMPURE)) == ["count.c"]


def test_one_folder_may_be_shown_instead_of_everything(incremental: Example) -> None:
    [section] = re.findall(r"```toml\n(.*?)```", (incremental.folder / "README.md").read_text(), re.DOTALL)
    config = incremental.folder / "config.toml"
    config.write_text(section.replace("/absolute/path/to/src", f"{incremental.folder}/src"))
    stages = incremental.folder / "stages.py"
    text = stages.read_text().replace(", impure=True", "")
    stages.write_text(text.replace('        echo "rev', f'        {IN_BASH}; echo "rev'))
    incremental.line("repx realize impure.py -o impure")
    incremental.line(f"REPX_CONFIG={config} repx run --lab ./impure --bwrap")
    assert compiled(incremental.line(SHOW_IMPURE)) == ["count.c", "greeting.c", "main.c"]
    config.unlink()
    without = incremental.world.start("run", "--bwrap", "--force", "--lab", "impure", cwd=incremental.folder)
    assert without.returncode == 1
    assert f"{incremental.folder}/src: No such file or directory" in without.stderr


def compiled(made: str) -> list[str]:
    """The sources that a compiler was started with, by what make printed."""
    return sorted(re.findall(r"^gcc .* (\S+\.c)$", made, re.MULTILINE))


def tree(root: Path) -> dict[str, tuple[int, bytes]]:
    """When each file of a folder was changed, and what is in it."""
    return {path.name: (os.lstat(path).st_mtime_ns, path.read_bytes()) for path in sorted(root.iterdir())}
