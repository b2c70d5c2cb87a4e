"""Find the lowest point of a bumpy function by simulated annealing, several times; plot the best of the searches."""

import json
import math
import random

from repx import Input, Lab, Output, Run, best, out, stage


def height(x: float, y: float) -> float:
    "Rastrigin's function: many valleys, the lowest of them at 0, 0."
    return 20 + x * x - 10 * math.cos(2 * math.pi * x) + y * y - 10 * math.cos(2 * math.pi * y)


@stage(packages=["python3"], realizations=4)
def anneal(
    trace: Output = out("trace.json"),
    lowest: Output = out("lowest.txt"),
    *,
    steps: int = 3000,
    cooling: float = 0.997,
    index: int = 0,
):
    chance = random.Random(index)
    x, y, heat = chance.uniform(-5, 5), chance.uniform(-5, 5), 10.0
    here = height(x, y)
    heights = [here]
    for _ in range(steps):
        next_x, next_y = x + chance.gauss(0, 0.5), y + chance.gauss(0, 0.5)
        there = height(next_x, next_y)
        if there < here or chance.random() < math.exp((here - there) / heat):
            x, y, here = next_x, next_y, there
        heat *= cooling
        heights.append(here)
    trace.write_text(json.dumps(heights))
    lowest.write_text(f"{min(heights):.6f}\n")


@stage(packages=["python3"])
def plot(trace: Input, picture: Output = out("trace.svg")):
    heights = json.loads(trace.read_text())
    points = " ".join(f"{step * 600 / len(heights):.1f},{200 - here * 2:.1f}" for step, here in enumerate(heights))
    picture.write_text(
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 600 200" style="background: white">'
        f'<text x="300" y="20">lowest: {min(heights):.6f}</text>'
        f'<polyline fill="none" stroke="steelblue" points="{points}"/></svg>\n'
    )


def annealing():
    plot(trace=best(anneal(), smallest="lowest").trace)


lab = Lab(runs=[Run("annealing", annealing)], version="1.0.0")
