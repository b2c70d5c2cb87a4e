"""How much each root keeps: its Lab, and the outputs of the Lab's jobs; what several keep counts for each of them."""

from __future__ import annotations

from collections.abc import Iterable

from repx.agent.base.layout import Store
from repx.store.gc.labs import picture_lab
from repx.store.gc.plan import directory_of
from repx.store.gc.reading import Look
from repx.store.gc.sizes import Measure, Size
from repx.store.roots import Root


def kept_by(store: Store, look: Look, roots: Iterable[Root]) -> dict[str, Size]:
    """The size of what is kept by each root that leads to something, by the root's path."""
    paths = {root.path: path for root, path in look.roots}
    of_job: dict[str, Size] = {}
    for one in look.picture.outputs:
        directory = directory_of(store, one.place)
        size = Measure(is_shared=True).trees(f"{directory}/{name}" for name in one.files)
        of_job[one.place.job] = of_job.get(one.place.job, Size()).plus(size)
    of_lab: dict[str, Size] = {}
    found = {}
    for root in roots:
        path = paths[root.path]
        if root.job:
            found[root.path] = of_job.get(root.job, Size())
        elif path:
            if path not in of_lab:
                lab = look.picture.labs.get(path) or picture_lab(path, store, {})
                size = Measure(is_shared=True).tree(path)
                for job in lab.jobs if lab is not None else ():
                    size = size.plus(of_job.get(job, Size()))
                of_lab[path] = size
            found[root.path] = of_lab[path]
    return found
