"""Results of a run in the hands of a job: what was swept tells its jobs apart, paths by the name they had."""

from __future__ import annotations

from tests.runtime.world import World, a_world

__all__ = ["a_world"]

BOOKS = """
import repx

@bash
def count(book: Input, words: Output = out("words.txt")):
    return 'wc -w < "$book" > "$words"'

@stage
def table(count: Results, lines: Output = out("lines.txt")):
    jobs = [f"{job.params['book']} {job.outputs['words'].read_text()}" for job in count.jobs()]
    lines.write_text("".join(sorted(jobs)))

@stage
def only(count: Results, lines: Output = out("lines.txt")):
    (job,) = count.jobs("count", book="b.txt")
    lines.write_text(job.outputs["words"].read_text())

counting = Run("count", count, params={"book": repx.files("books")})
lab = Lab(runs=[counting, Run("table", table, after=[counting]), Run("only", only, after=[counting])])
"""


def test_a_swept_input_is_a_param_by_its_name(world: World) -> None:
    (world.root / "books").mkdir()
    for name, text in (("a.txt", "one"), ("b.txt", "one two"), ("c.txt", "one two three")):
        (world.root / "books" / name).write_text(text)
    world.realize(BOOKS)
    assert world.run().status == 0
    assert world.output("table", "lines.txt").split() == ["a.txt", "1", "b.txt", "2", "c.txt", "3"]
    assert world.output("only", "lines.txt") == "2\n"
    listed = world.repx("list", "jobs", "count", "-p", "book").stdout
    assert sorted(line.split()[-1] for line in listed.splitlines()[1:]) == ["a.txt", "b.txt", "c.txt"]
    assert "words.txt" in world.repx("show", "output", "count[book=c.txt]").stdout


STRUCTURED = """
import enum
class Color(enum.Enum):
    RED = "red"

@stage
def fit(o: Output = out("o.txt"), *, layers: list[int], opt: dict, x: float, n: int | None, color: Color):
    o.write_text("")

@stage
def table(fits: Results, lines: Output = out("lines.txt")):
    import enum
    class Shade(enum.Enum):
        RED = "red"
    asked = [
        {"layers": [64, 64]}, {"layers": (64, 64)}, {"layers": [64, True]}, {"opt": {"b": Shade.RED, "a": 1}},
        {"opt": {"a": 1.0, "b": "red"}}, {"x": -0.0}, {"n": None}, {"n": 2**60 + 1}, {"n": 2.0**60},
        {"color": Shade.RED},
    ]
    found = [str(len(fits.jobs("fit", **one))) for one in asked]
    for wrong in ({"layers": {1}}, {"layer": [1]}):
        try:
            fits.jobs(**wrong)
        except ValueError as error:
            found.append(str(error))
    lines.write_text("\\n".join(found))

fits = Run("fits", fit, params={
    "layers": [[64, 64], [128]], "opt": [{"b": "red", "a": 1}], "x": [0.0, -0.0], "n": [None, 2**60 + 1],
    "color": list(Color),
})
lab = Lab(runs=[fits, Run("table", table, after=[fits])])
"""


def test_structured_params_are_found_by_what_they_are_everywhere(world: World) -> None:
    world.realize(STRUCTURED)
    assert world.run().status == 0
    said = world.output("table", "lines.txt").splitlines()
    assert said == [
        *["4", "4", "0", "8", "0", "4", "4", "4", "0", "8"],
        "no param can be {1}, which is of type set",
        "no job of the run has the param 'layer'; did you mean layers?",
    ]
    for where, count in (
        ("layers=[64, 64]", 4),
        ("layers=[64,true]", 0),
        ('opt={"b":"red","a":1}', 8),
        ("x=-0.0", 4),
        ("n=None", 4),
        ("n=1152921504606846977", 4),
        ("n=1152921504606846976.0", 0),
        ("color=red", 8),
    ):
        listed = world.repx("list", "jobs", "fit", "-w", where).stdout.splitlines()
        assert max(0, len(listed) - 1) == count, (where, listed)
    one = world.repx("show", "job", 'fit[layers=[64,64],opt={"a":1,"b":"red"},x=-0.0,n=None]')
    assert "fit, version 1" in one.stdout
