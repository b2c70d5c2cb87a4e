"""A series of numbers, its sum, and a plot of both: three stages, one job each."""

from repx import Input, Lab, Output, Run, bash, out, stage


@stage(packages=["python3"])
def series(data: Output = out("series.csv"), *, length: int = 20):
    with data.open("w") as file:
        file.write("x,y\n")
        file.writelines(f"{x},{x**2}\n" for x in range(length))


@bash(packages=["awk"])
def total(data: Input, result: Output = out("sum.txt")):
    return """awk -F, 'NR > 1 { sum += $2 } END { print sum }' "$data" > "$result" """


@stage(packages=["python3", "matplotlib"])
def plot(data: Input, result: Input, picture: Output = out("series.png")):
    import matplotlib

    matplotlib.use("agg")
    import matplotlib.pyplot as plt

    xs, ys = zip(*(map(int, line.split(",")) for line in data.read_text().split()[1:]))
    plt.plot(xs, ys, "o-")
    plt.title(f"the sum is {result.read_text().strip()}")
    plt.savefig(picture)


def simple():
    numbers = series()
    plot(numbers, total(numbers))


lab = Lab(runs=[Run("simple", simple)], version="1.0.0")
