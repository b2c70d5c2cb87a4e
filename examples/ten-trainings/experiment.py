"""A data set, ten trainings of it that start at ten places, and a stage that takes all of them."""

import json
import random
import statistics

from repx import Input, Inputs, Lab, Output, Run, every, out, stage


@stage(packages=["python3"])
def dataset(data: Output = out("dataset.json"), *, size: int = 100):
    chance = random.Random(0)
    points = [position / size for position in range(size)]
    data.write_text(json.dumps([[x, 3 * x + 1 + chance.gauss(0, 0.5)] for x in points]))


@stage(packages=["python3"], realizations=10)
def train(data: Input, model: Output = out("model.json"), loss: Output = out("loss.txt"), *, index: int = 0):
    "A line through the points, found by stochastic gradient descent; index, the number of the training, is its seed."
    chance = random.Random(index)
    points = json.loads(data.read_text())
    slope, offset = chance.uniform(-5, 5), chance.uniform(-5, 5)
    for _ in range(2000):
        x, y = chance.choice(points)
        error = slope * x + offset - y
        slope, offset = slope - 0.1 * error * x, offset - 0.1 * error
    model.write_text(json.dumps({"slope": slope, "offset": offset}))
    loss.write_text(f"{statistics.fmean((slope * x + offset - y) ** 2 for x, y in points):.3g}\n")


@stage(packages=["python3"])
def compare(models: Inputs, losses: Inputs, table: Output = out("trainings.csv")):
    rows = ["slope,offset,loss"]
    for model, loss in zip(models, losses):
        line = json.loads(model.read_text())
        rows.append(f"{line['slope']:.3f},{line['offset']:.3f},{loss.read_text().strip()}")
    table.write_text("\n".join(rows) + "\n")


def trainings():
    trained = every(train(dataset()))
    compare(models=trained.model, losses=trained.loss)


lab = Lab(runs=[Run("trainings", trainings)], version="1.0.0")
