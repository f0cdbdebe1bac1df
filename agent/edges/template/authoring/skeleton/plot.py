"""Draw each metric by run against the baseline, one SVG a metric; needs nothing but Python."""

import json
import math
from collections.abc import Iterator
from html import escape
from pathlib import Path

WIDTH, HEIGHT, MARGIN = 640, 380, 64
MOST = 12  # figures where no baseline says which numbers count
TITLE_CHARS = 76
BASELINE, RUN = "#888", "#06c"


def numbers(value: object, path: str = "") -> Iterator[tuple[str, float]]:
    """(dotted path, number) of every number in nested objects."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from numbers(inner, f"{path}.{key}" if path else str(key))
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield path, float(value)


def read_runs() -> dict[str, dict[str, float]]:
    """Numbers of final_info.json and evaluation.json by run folder, in the order of the runs."""
    runs = {}
    folders = [p for p in Path().glob("run_*") if p.name.removeprefix("run_").isdigit()]
    for folder in sorted(folders, key=lambda p: int(p.name.removeprefix("run_"))):
        found: dict[str, float] = {}
        for name in ("final_info.json", "evaluation.json"):
            if (folder / name).is_file():
                found |= dict(numbers(json.loads((folder / name).read_text("utf-8"))))
        runs[folder.name] = found
    return runs


def read_baselines() -> dict[str, dict[str, list[float]]]:
    """Values by metric, then by baseline, one a seed."""
    path = Path("baselines.json")
    found: dict[str, dict[str, list[float]]] = {}
    for row in json.loads(path.read_text("utf-8")) if path.is_file() else []:
        for metric, value in row["metrics"].items():
            found.setdefault(metric, {}).setdefault(row["name"], []).append(value)
    return found


def value_of(run: dict[str, float], metric: str) -> float | None:
    """The number of that name: its whole path, else the last part of one, words joined by _ or a point."""
    for path, value in run.items():
        if metric in (path, path.replace(".", "_"), path.rpartition(".")[2]):
            return value
    return None


def read_title() -> str:
    """The idea's title. If its runs are a control, that is said too."""
    idea, notes = Path("idea.json"), Path("notes.txt")
    title = json.loads(idea.read_text("utf-8")).get("Title", "") if idea.is_file() else ""
    lines = notes.read_text("utf-8", "replace").splitlines() if notes.is_file() else []
    control = " (control)" if any(line.startswith("control: ") for line in lines) else ""
    return title[: TITLE_CHARS - len(control)] + control


def choose_ticks(values: list[float]) -> list[float]:
    """Round numbers from below all values to above them. An axis of shares ends at 0 and 1."""
    low, high = min(values), max(values)
    span = (high - low) * 1.2 or abs(high) * 0.2 or 1.0
    rough = span / 5
    unit = 10.0 ** math.floor(math.log10(rough))
    step = next(unit * factor for factor in (1, 2, 5, 10) if unit * factor >= rough * 0.999)
    middle = (low + high) / 2
    first, last = math.floor((middle - span / 2) / step), math.ceil((middle + span / 2) / step)
    if low >= 0:
        first = max(first, 0)
    if low >= 0 and high <= 1:
        last = min(last, math.ceil(1 / step - 1e-9))
    return [float(f"{number * step:.12g}") for number in range(first, last + 1)]


def draw(metric: str, groups: dict[str, list[float]], first_run: int, title: str = "") -> str:
    """An SVG: one column of points a group; those from `first_run` on are runs, those before baselines."""
    ticks = choose_ticks([value for column in groups.values() for value in column])

    def y_of(value: float) -> float:
        return HEIGHT - MARGIN - (value - ticks[0]) / (ticks[-1] - ticks[0]) * (HEIGHT - 2 * MARGIN)

    step = (WIDTH - 2 * MARGIN) / len(groups)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{HEIGHT}" font-family="sans-serif" '
        f'font-size="12"><rect width="100%" height="100%" fill="white"/>',
        f'<text x="{MARGIN}" y="22" font-size="15">{escape(title or metric)}</text>',
        f'<text x="{MARGIN}" y="44">{escape(metric) if title else ""}</text>',
    ]
    named = [("baseline", BASELINE)] * (first_run > 0) + [("run", RUN)] * (first_run < len(groups))
    for number, (label, colour) in enumerate(named):
        at = WIDTH - MARGIN - 150 + 90 * number
        parts.append(f'<circle cx="{at}" cy="40" r="4" fill="{colour}"/><text x="{at + 9}" y="44">{label}</text>')
    for value in ticks:
        y = y_of(value)
        parts.append(f'<line x1="{MARGIN}" x2="{WIDTH - MARGIN}" y1="{y:.1f}" y2="{y:.1f}" stroke="#ddd"/>')
        parts.append(f'<text x="{MARGIN - 6}" y="{y + 4:.1f}" text-anchor="end">{value:.4g}</text>')
    for number, (name, column) in enumerate(groups.items()):
        x = MARGIN + step * (number + 0.5)
        colour = BASELINE if number < first_run else RUN
        for value in column:
            title = f"<title>{escape(name)}: {value:.6g}</title>"
            parts.append(f'<circle cx="{x:.1f}" cy="{y_of(value):.1f}" r="4" fill="{colour}">{title}</circle>')
        label = escape(name[:14])
        parts.append(f'<text x="{x:.1f}" y="{HEIGHT - MARGIN + 18}" text-anchor="middle">{label}</text>')
    return "\n".join([*parts, "</svg>"]) + "\n"


def main() -> None:
    runs, baselines = read_runs(), read_baselines()
    names = list(baselines) or list(dict.fromkeys(name for run in runs.values() for name in run))[:MOST]
    title = read_title()
    for metric in names:
        groups = dict(baselines.get(metric, {}))
        first = len(groups)
        for run, found in runs.items():
            value = value_of(found, metric)
            if value is not None:
                groups[run] = [value]
        if groups:
            name = "".join(c if c.isalnum() or c in "-_" else "_" for c in metric)
            Path(f"{name}.svg").write_text(draw(metric, groups, first, title), "utf-8")


if __name__ == "__main__":
    main()
