"""Take all realizations of a stage from Python: what has been run is found, what is missing is run."""

from experiment import dataset, train

from repx import every, realize_many

models = realize_many(every(train(dataset())))
assert len(models) >= 10
print(f"{len(models)} models; the slopes are", *(f"{model.load_json('model')['slope']:.2f}" for model in models))
