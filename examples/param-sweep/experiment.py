"""A parabola for each slope, its sum, and a plot of them all."""

from repx import Input, Lab, Output, Results, Run, bash, out, stage


@stage(packages=["python3"])
def generator(data: Output = out("data.csv"), *, slope: float = 1.0):
    "y = slope * x²; the body runs as a job, in its own process."
    with data.open("w") as file:
        file.write("x,y\n")
        file.writelines(f"{x},{slope * x**2}\n" for x in range(20))


@bash(packages=["awk"])
def total(series: Input, result: Output = out("sum.txt")):
    "The function returns a Bash script; every input, output and parameter is a shell variable of the same name."
    return """awk -F, 'NR > 1 { s += $2 } END { print s }' "$series" > "$result" """


def simulate():
    series = generator()
    total(series=series.data)


@stage(packages=["python3", "matplotlib"])
def plotter(sweep: Results, plot: Output = out("plot.png")):
    import matplotlib

    matplotlib.use("agg")
    import matplotlib.pyplot as plt

    for job in sweep.jobs("generator"):
        xs, ys = zip(*(map(float, line.split(",")) for line in job.outputs["data"].read_text().split()[1:]))
        plt.plot(xs, ys, label=f"slope = {job.params['slope']}")
    plt.legend()
    plt.savefig(plot)


sweep = Run("sweep", simulate, params={"slope": [1, 2, 5]})
plot = Run("plot", plotter, after=[sweep])
lab = Lab(runs=[sweep, plot], groups={"all": [sweep, plot]}, version="1.0.0")
