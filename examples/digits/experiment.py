"""Train two kinds of classifiers on scikit-learn's digits, pick the most accurate, and see what it confuses."""

import json
import shutil
from typing import Literal

import repx
from repx import Input, Lab, Output, Results, Run, out, stage


def classifier(model, learning_rate, seed):
    from sklearn.linear_model import SGDClassifier
    from sklearn.neural_network import MLPClassifier

    if model == "linear":
        return SGDClassifier(learning_rate="constant", eta0=learning_rate, random_state=seed)
    return MLPClassifier([32], solver="sgd", learning_rate_init=learning_rate, max_iter=40, random_state=seed)


@stage(packages=["python3", "scikit-learn"])
def train(
    accuracy: Output = out("accuracy.txt"),
    predictions: Output = out("predictions.json"),
    *,
    model: Literal["linear", "network"],
    learning_rate: float,
    seed: int,
):
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split

    images, labels = load_digits(return_X_y=True)
    x_train, x_test, y_train, y_test = train_test_split(images / 16, labels, random_state=0)
    found = classifier(model, learning_rate, seed).fit(x_train, y_train).predict(x_test)
    accuracy.write_text(f"{(found == y_test).mean():.4f}\n")
    predictions.write_text(json.dumps({"true": y_test.tolist(), "found": found.tolist()}))


@stage(packages=["python3"])
def pick(training: Results, best: Output = out("best.json"), predictions: Output = out("predictions.json")):
    "The most accurate of all; of equals, the one with the lowest seed."
    jobs = sorted(training.jobs("train"), key=lambda job: job.params["seed"])
    winner = max(jobs, key=lambda job: float(job.outputs["accuracy"].read_text()))
    best.write_text(json.dumps({"accuracy": float(winner.outputs["accuracy"].read_text()), **winner.params}))
    shutil.copyfile(winner.outputs["predictions"], predictions)


@stage(packages=["python3", "matplotlib", "scikit-learn"])
def confusion(best: Input, predictions: Input, matrix: Output = out("confusion.png")):
    import matplotlib

    matplotlib.use("agg")
    from sklearn.metrics import ConfusionMatrixDisplay

    labels = json.loads(predictions.read_text())
    shown = ConfusionMatrixDisplay.from_predictions(labels["true"], labels["found"], colorbar=False)
    shown.ax_.set_title("{model}, seed {seed}: {accuracy:.1%}".format(**json.loads(best.read_text())))
    shown.figure_.savefig(matrix)


def look():
    confusion(pick())


models = repx.zip(model=["linear", "network"], learning_rate=[0.01, 0.2])
training = Run("training", train, params=repx.product(models, seed=[1, 2]))
best = Run("best", look, after=[training])
lab = Lab(runs=[training, best], version="1.0.0")
