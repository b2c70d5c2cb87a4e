"""An ultimatum game among agents that learn from their neighbours; ten histories of it in one plot."""

import json
import random
import statistics

from repx import Inputs, Lab, Output, Run, every, out, stage


@stage(packages=["python3"], realizations=10)
def history(
    means: Output = out("means.json"), *, agents: int = 60, epochs: int = 150, mutation: float = 0.03, index: int = 0
):
    """One share of 1 is offered, and taken or refused: who is refused gets nothing, and neither does who refuses.

    An agent is what it offers and the least that it takes. Who earned more in an epoch is imitated, not quite exactly.
    """
    chance = random.Random(index)
    population = [(chance.random(), chance.random()) for _ in range(agents)]
    course = []
    for _ in range(epochs):
        earned = [0.0] * agents
        for proposer in range(agents):
            for responder in chance.sample(range(agents), 8):
                offer, least = population[proposer][0], population[responder][1]
                if responder != proposer and offer >= least:
                    earned[proposer] += 1 - offer
                    earned[responder] += offer
        imitated = chance.choices(population, weights=[gain**2 + 1e-9 for gain in earned], k=agents)
        population = [
            tuple(min(1.0, max(0.0, value + chance.gauss(0, mutation))) for value in agent) for agent in imitated
        ]
        course.append([statistics.fmean(agent[side] for agent in population) for side in (0, 1)])
    means.write_text(json.dumps(course))


@stage(packages=["python3"])
def plot(histories: Inputs, picture: Output = out("histories.svg")):
    "Two lines for each history: blue is the mean offer, orange the least that is taken."
    lines = []
    for history in histories:
        course = json.loads(history.read_text())
        for side, colour in enumerate(("steelblue", "darkorange")):
            points = " ".join(
                f"{epoch * 600 / len(course):.1f},{300 - 300 * means[side]:.1f}" for epoch, means in enumerate(course)
            )
            lines.append(f'<polyline fill="none" stroke="{colour}" points="{points}"/>\n')
    head = '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 600 300" style="background: white">\n'
    picture.write_text(head + "".join(lines) + "</svg>\n")


def game():
    plot(histories=every(history()).means)


lab = Lab(runs=[Run("game", game)], version="1.0.0")
