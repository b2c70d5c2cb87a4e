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
