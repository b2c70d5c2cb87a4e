"""Reads the results of the Lab by name, wherever they lie."""

from repx import Experiment

jobs = Experiment("./result").jobs()
print(jobs.to_dataframe())

numbers = jobs.filter(stage="series")[0].load_csv("data")
total = jobs.filter(stage="total")[0].load_text("result").strip()
print(f"{len(numbers)} numbers up to {numbers['y'].max()}; their sum is {total}")
