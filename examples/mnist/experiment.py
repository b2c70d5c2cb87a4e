"""Teach a network to read digits, twice, and keep both; show what the more accurate of the two reads."""

import json
import math
import random

from repx import Input, Lab, Output, Run, best, out, stage

SHAPES = [
    ".###. #...# #...# #...# .###.",
    "..#.. .##.. ..#.. ..#.. .###.",
    ".###. #...# ..##. .#... #####",
    "####. ....# .###. ....# ####.",
    "#..#. #..#. ##### ...#. ...#.",
    "##### #.... ####. ....# ####.",
    ".###. #.... ####. #...# .###.",
    "##### ....# ...#. ..#.. ..#..",
    ".###. #...# .###. #...# .###.",
    ".###. #...# .#### ....# .###.",
]


@stage(packages=["python3"])
def digits(data: Output = out("digits.json"), *, count: int = 600, noise: float = 0.45):
    "Handwriting of a kind: each shape many times, no two alike."
    chance = random.Random(0)
    images = []
    for number in range(count):
        label = number % 10
        ink = [float(pixel == "#") for pixel in SHAPES[label].replace(" ", "")]
        images.append([label, [round(pixel + chance.gauss(0, noise), 3) for pixel in ink]])
    data.write_text(json.dumps(images))


def scores(weights, image):
    return [sum(w * pixel for w, pixel in zip(row, [*image, 1.0])) for row in weights]


def read_digit(weights, image):
    found = scores(weights, image)
    return found.index(max(found))


@stage(packages=["python3"], realizations=1)
def train(
    data: Input,
    model: Output = out("model.json"),
    accuracy: Output = out("accuracy.txt"),
    *,
    epochs: int = 5,
    index: int = 0,
):
    "Softmax regression; each training shuffles in its own way, so each ends at its own accuracy."
    chance = random.Random(index + 1)
    images = json.loads(data.read_text())
    learnt, unseen = images[:400], images[400:]
    weights = [[chance.gauss(0, 1) for _ in range(26)] for _ in range(10)]
    for _ in range(epochs):
        chance.shuffle(learnt)
        for label, image in learnt:
            found = scores(weights, image)
            powers = [math.exp(score - max(found)) for score in found]
            for digit, row in enumerate(weights):
                error = powers[digit] / sum(powers) - (digit == label)
                for place, pixel in enumerate([*image, 1.0]):
                    row[place] -= 0.05 * error * pixel
    right = sum(read_digit(weights, image) == label for label, image in unseen)
    model.write_text(json.dumps(weights))
    accuracy.write_text(f"{right / len(unseen):.4f}\n")


@stage(packages=["python3"])
def show(data: Input, model: Input, readings: Output = out("readings.txt")):
    weights = json.loads(model.read_text())
    with readings.open("w") as file:
        for label, image in json.loads(data.read_text())[-10:]:
            print(f"{label} is read as {read_digit(weights, image)}", file=file)


def classifier():
    images = digits()
    show(images, model=best(train(images), largest="accuracy").model)


lab = Lab(runs=[Run("classifier", classifier)], version="1.0.0")
