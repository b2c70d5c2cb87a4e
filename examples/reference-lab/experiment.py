"""Seven stages that use everything there is: 64 assignments, 152 distinct jobs, and a run that looks at the results."""

import json
from pathlib import Path

import repx
from repx import Input, Inputs, Output, Outputs, Results, WorkItem, bash, out, scatter_gather, stage


@bash
def low_numbers(
    template_dir: Input,
    data_a: Output = out("numbers.txt"),
    title: Output = out("title.txt"),
    *,
    offset: int,
    tool: Path,
):
    "A: 1 to 5, each plus the offset. The tool is the value of a param, and comes with the Lab."
    return """
        "$tool/bin/tr" a-z A-Z < "$template_dir/title.txt" > "$title"
        for number in 1 2 3 4 5; do echo $((number + offset)); done > "$data_a"
    """


@stage
def high_numbers(numbers: Output = out("numbers.txt"), *, mode: str, config_file: Path):
    "B: five numbers, the first of which stands in a file that is the value of a param."
    start = json.loads(config_file.read_text())["start"]
    print(f"{mode} mode, from {start}")
    numbers.write_text("".join(f"{number}\n" for number in range(start, start + 5)))


@bash
def joined(data_a: Input, list_b: Input, numbers: Output = out("numbers.txt")):
    "C: the numbers of A, found by its name, then those of B, which are called otherwise there."
    return """cat "$data_a" "$list_b" > "$numbers" """


@stage
def split(numbers: Input, items: Output = out("items.json")):
    count = len(numbers.read_text().splitlines())
    items.write_text(json.dumps([{"line": line} for line in range(count)]))


@stage
def extract(item: WorkItem, numbers: Input, number: Output = out("number.txt")):
    number.write_text(numbers.read_text().splitlines()[item["line"]])


@bash
def square(number: Input, squared: Output = out("squared.txt")):
    return """n=$(< "$number"); echo $((n * n)) > "$squared" """


@bash
def double(number: Input, doubled: Output = out("doubled.txt")):
    return """n=$(< "$number"); echo $((2 * n)) > "$doubled" """


@bash
def combine(squared: Input, doubled: Input, result: Output = out("result.txt")):
    return """echo $(($(< "$squared") + $(< "$doubled"))) > "$result" """


@bash
def collect(results: Inputs, partial_sums: Output = out("partial_sums.txt")):
    return """cat "${results[@]}" > "$partial_sums" """


@scatter_gather(scatter=split, gather=collect)
def partial_sums(item: WorkItem, numbers: Input):
    "D: n² + 2n for every line n, one branch for each; the branch is a diamond."
    number = extract(item=item, numbers=numbers)
    return combine(square(number), double(number))


@bash(packages=["awk"])
def total(partial_sums: Input, total_sum: Output = out("total.sum.txt")):
    "E: the sum, in a file whose name has two dots."
    return """awk '{ sum += $1 } END { print sum }' "$partial_sums" > "$total_sum" """


@stage(
    name=lambda p: f"scaled-{p.mode}",
    inputs=lambda p: ["total_sum", "title"] if p.mode == "slow" else ["total_sum"],
    outputs=lambda p: {"product": f"times-{p.multiplier}.txt"},
    resources=lambda p: repx.Resources(mem="512M" if p.mode == "slow" else "128M", cpus=p.multiplier - 1),
)
def scaled(inputs: Inputs, outputs: Outputs, *, mode: str, multiplier: int, scale: int):
    "F: its name, inputs, outputs and resources depend on params."
    lines = [str(int(inputs["total_sum"].read_text()) * multiplier * scale)]
    if mode == "slow":
        lines.append(inputs["title"].read_text())
    outputs["product"].write_text("\n".join(lines))


@bash
def workload(product: Input, result: Output = out("result.txt"), *, workload_args: str, env: str):
    "G: words that are split in the shell, and variables that are set from a param."
    return """
        read -ra numbers <<< "$workload_args"
        read -ra settings <<< "$env"
        export "${settings[@]}"
        read -r sum < "$product" || true
        for number in "${numbers[@]}"; do sum=$((sum + number)); done
        echo $((sum + A + B)) > "$result"
    """


def simulate(mode):
    low = low_numbers()
    high = high_numbers()
    numbers = joined(low, list_b=high.numbers)
    sums = total(partial_sums(numbers))
    more = {"title": low.title} if mode == "slow" else {}
    product = scaled(total_sum=sums.total_sum, **more)
    workload(product)


@stage
def analysis(simulation_run: Results, summary: Output = out("summary.json")):
    "How often each total came out, and how many jobs of each stage there are."
    totals = [int(job.outputs["total_sum"].read_text()) for job in simulation_run.jobs("total")]
    stages = [job.stage for job in simulation_run.jobs()]
    counts = {"totals": totals, "stages": stages}
    counted = {name: {str(one): found.count(one) for one in sorted(set(found))} for name, found in counts.items()}
    summary.write_text(json.dumps(counted, indent=2))


simulation = repx.Run(
    "simulation-run",
    simulate,
    params={
        "offset": [1, 2],
        "mode": ["fast", "slow"],
        "template_dir": repx.dirs("templates"),
        "config_file": repx.files("configs"),
        "scaling": repx.zip(multiplier=[2, 3], scale=[10, 100]),
        "workload_args": ["10 20 30", "5 15 25"],
        "env": ["A=1 B=2"],
        "tool": [repx.package("tr")],
    },
)
analyses = repx.Run("analysis-run", analysis, after=[repx.soft(simulation)])
lab = repx.Lab(
    runs=[simulation, analyses],
    groups={"all": [simulation, analyses], "compute": [simulation]},
    version="1.0.0",
)
