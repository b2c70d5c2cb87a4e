"""A training that fails at its very end, after the work has been done; what to do then is in the README."""

import json

from repx import Input, Lab, Output, Run, out, stage


@stage(packages=["python3"])
def train(model: Output = out("model.json"), summary: Output = out("summary.txt"), *, epochs: int = 200):
    "The square root of two, by going downhill."
    guess, losses = 1.0, []
    for _ in range(epochs):
        guess -= 0.1 * (guess * guess - 2) * guess
        losses.append((guess * guess - 2) ** 2)
    model.write_text(json.dumps(guess))
    summary.write_text(f"loss {losses[epochs]:.3g} after {epochs} epochs\n")  # the mistake: the last one is epochs - 1


@stage(packages=["python3"])
def report(model: Input, summary: Input, page: Output = out("report.txt")):
    page.write_text(f"{json.loads(model.read_text()):.6f}: {summary.read_text()}")


def training():
    report(train())


lab = Lab(runs=[Run("training", training)], version="1.0.0")
