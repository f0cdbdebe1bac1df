"""Draw each metric by run against the baseline, one SVG a metric; needs nothing but Python."""

import json
from collections.abc import Iterator
from html import escape
from pathlib import Path

WIDTH, HEIGHT, MARGIN = 640, 360, 56
MOST = 12  # figures where no baseline says which numbers count


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


def draw(metric: str, groups: dict[str, list[float]], first_run: int) -> str:
    """An SVG: one column of points a group; those from `first_run` on are runs, those before baselines."""
    values = [value for column in groups.values() for value in column]
    low, high = min(values), max(values)
    pad = (high - low) * 0.1 or abs(high) * 0.1 or 1.0
    low, high = low - pad, high + pad

    def y_of(value: float) -> float:
        return HEIGHT - MARGIN - (value - low) / (high - low) * (HEIGHT - 2 * MARGIN)

    step = (WIDTH - 2 * MARGIN) / len(groups)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{HEIGHT}" font-family="sans-serif" '
        f'font-size="12"><rect width="100%" height="100%" fill="white"/>',
        f'<text x="{MARGIN}" y="24" font-size="15">{escape(metric)}</text>',
    ]
    for tick in range(5):
        value = low + (high - low) * tick / 4
        y = y_of(value)
        parts.append(f'<line x1="{MARGIN}" x2="{WIDTH - MARGIN}" y1="{y:.1f}" y2="{y:.1f}" stroke="#ddd"/>')
        parts.append(f'<text x="{MARGIN - 6}" y="{y + 4:.1f}" text-anchor="end">{value:.4g}</text>')
    for number, (name, column) in enumerate(groups.items()):
        x = MARGIN + step * (number + 0.5)
        colour = "#888" if number < first_run else "#06c"
        for value in column:
            title = f"<title>{escape(name)}: {value:.6g}</title>"
            parts.append(f'<circle cx="{x:.1f}" cy="{y_of(value):.1f}" r="4" fill="{colour}">{title}</circle>')
        label = escape(name[:14])
        parts.append(f'<text x="{x:.1f}" y="{HEIGHT - MARGIN + 18}" text-anchor="middle">{label}</text>')
    return "\n".join([*parts, "</svg>"]) + "\n"


def main() -> None:
    runs, baselines = read_runs(), read_baselines()
    names = list(baselines) or list(dict.fromkeys(name for run in runs.values() for name in run))[:MOST]
    for metric in names:
        groups = dict(baselines.get(metric, {}))
        first = len(groups)
        for run, found in runs.items():
            value = value_of(found, metric)
            if value is not None:
                groups[run] = [value]
        if groups:
            name = "".join(c if c.isalnum() or c in "-_" else "_" for c in metric)
            Path(f"{name}.svg").write_text(draw(metric, groups, first), "utf-8")


if __name__ == "__main__":
    main()
