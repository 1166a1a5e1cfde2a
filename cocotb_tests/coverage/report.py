"""The report of a run with coverage: `python -m cocotb_tests.coverage.report FOLDER`.

FOLDER/raw has what the tests left there. Writes FOLDER/index.html, which needs no other file, and
docs/coverage.md. Exit code 1 where a bar is missed or an exclusion excludes nothing.
"""

from __future__ import annotations

import sys
import tomllib
from collections import Counter
from dataclasses import dataclass
from html import escape
from pathlib import Path

import yaml

from cocotb_tests.coverage import verilator
from cocotb_tests.coverage.functional import GROUPS
from cocotb_tests.coverage.verilator import Exclusion, Figures

DOCS = Path(__file__).parents[2] / "docs"
PLAN, EXCLUSIONS = (DOCS / "testplan" / name for name in ("testplan.toml", "exclusions.toml"))
REFERENCE = "crosstile_5x3-"
"""The design whose lines and toggles count: the tile `tiny` of tests/equivalence."""
BARS = {"functional": 100.0, "line": 98.0, "toggle": 95.0}
MISSES_SHOWN = 400

STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 62rem; padding: 0 1rem;
  color: #1c2430; background: #fff }
h1 { font-size: 1.5rem } h2 { font-size: 1.15rem; margin-top: 2.2rem }
table { border-collapse: collapse; width: 100%; margin: .6rem 0 }
th, td { text-align: left; padding: .3rem .6rem; border-bottom: 1px solid #dde2e8;
  vertical-align: top }
th { font-weight: 600; background: #f4f6f8 } td.n, th.n { text-align: right;
  font-variant-numeric: tabular-nums; white-space: nowrap }
code { font-size: .85em; overflow-wrap: anywhere } .bad { color: #a8201a; font-weight: 600 }
.good { color: #17663a } summary { cursor: pointer; color: #34506e } small { color: #5a6675 }
.bar { background: #e6e9ed; height: .5rem; min-width: 5rem } .bar i { display: block; height: 100%;
  background: #2f7d55 } .bar i.bad { background: #c0392b }
"""


@dataclass
class Coverage:
    """All that a run left: hits by group and bin, figures by design, kind and block."""

    hits: dict[str, Counter[str]]
    designs: dict[str, dict[str, dict[str, Figures]]]
    rules: list[Exclusion]

    @property
    def reference(self) -> dict[str, dict[str, Figures]]:
        """The design that counts. Raises KeyError where it was not run."""
        found = [name for name in self.designs if name.startswith(REFERENCE)]
        if len(found) != 1:
            raise KeyError(f"{len(found)} designs of {REFERENCE}; remove the folder and run again")
        return self.designs[found[0]]

    def group(self, name: str) -> tuple[int, int]:
        """Bins hit, and bins, of a covergroup."""
        return sum(count > 0 for count in self.hits[name].values()), len(self.hits[name])

    def percents(self) -> dict[str, float]:
        """What is held against `BARS`."""
        hit, bins = (sum(counts) for counts in zip(*map(self.group, GROUPS), strict=True))
        percents = {kind: verilator.total(self.reference[kind]).percent for kind in verilator.KINDS}
        return {"functional": 100 * hit / bins} | percents

    def stale(self) -> list[Exclusion]:
        """Exclusions that exclude nothing of the reference."""
        used = {rule for kind in verilator.KINDS for rule in self.excluded(kind)}
        return [rule for rule in self.rules if rule not in used]

    def excluded(self, kind: str) -> Counter[Exclusion]:
        """Points of the reference by the rule that excludes them."""
        return verilator.total(self.reference[kind]).excluded


def load(raw: Path) -> Coverage:
    """What the tests left in a folder."""
    hits = {n: Counter({" ".join(map(str, b)): 0 for b in bins}) for n, (_, bins) in GROUPS.items()}
    for path in sorted(raw.glob("functional-*.yml")):
        items = yaml.safe_load(path.read_text())
        for name, counted in hits.items():
            for one, count in items[f"tile.{name}"]["bins:_hits"].items():
                counted[one] += count
    rules = verilator.exclusions(EXCLUSIONS)
    designs = {
        name: verilator.figures(found, rules, _constants(raw / f"{name}.v"))
        for name, found in verilator.load(raw).items()
    }
    return Coverage(hits, designs, [verilator.CONSTANT, *rules])


def _constants(text: Path) -> set[tuple[str, str]]:
    """Those of the design that counts; the others are for information."""
    return verilator.constants(text) if text.name.startswith(REFERENCE) else set()


def markdown(coverage: Coverage) -> str:
    """docs/coverage.md."""
    percents, reference = coverage.percents(), coverage.reference
    lines, toggles = (verilator.total(reference[kind]) for kind in verilator.KINDS)
    bins = [coverage.group(name) for name in GROUPS]
    text = [
        "# Coverage",
        "",
        "Made by `make coverage`; the page with every point, bin and miss is"
        " `build/coverage/index.html`.",
        "",
        "The plan is [testplan/testplan.toml](testplan/testplan.toml); a test holds it against the"
        " tests. A bin is counted only",
        "after the simulated tile was found equal to golden in that run. Lines and toggles are of"
        " the Verilog as `crosstile",
        "verilog` writes it, of the tile of 5 rows and 3 columns that the scripts of"
        " tests/equivalence run on Verilator. A line",
        "is covered where its block of statements ran, so both ways of a branch count; a toggle is"
        " one bit in one direction,",
        "also of the nets between expressions.",
        "",
        "| | covered | of | percent | bar | excluded |",
        "|---|---|---|---|---|---|",
    ]
    rows = {
        "functional": (sum(h for h, _ in bins), sum(n for _, n in bins), 0),
        "line": (lines.hit, lines.counted, lines.excluded.total()),
        "toggle": (toggles.hit, toggles.counted, toggles.excluded.total()),
    }
    text += [
        f"| {name} | {hit:,} | {of:,} | {percents[name]:.2f} | {BARS[name]:g} | {excluded:,} |"
        for name, (hit, of, excluded) in rows.items()
    ]
    text += ["", "## Covergroups", "", "| group | bins hit | bins | what a bin is |"]
    text += ["|---|---|---|---|"]
    for name, (says, _) in GROUPS.items():
        hit, of = coverage.group(name)
        text.append(f"| `{name}` | {hit} | {of} | {says} |")
    text += ["", "## Blocks", "", "| module | lines | of | % | toggles | of | % |"]
    text += ["|---|---|---|---|---|---|---|"]
    for name in sorted(reference["toggle"]):
        cells = [name]
        for kind in verilator.KINDS:
            one = reference[kind].get(name, Figures())
            cells += [f"{one.hit:,}", f"{one.counted:,}", f"{one.percent:.1f}"]
        text.append(f"| {' | '.join(cells)} |")
    text += [
        "",
        "## Excluded",
        "",
        "| kind | module | what | points | reason |",
        "|---|---|---|---|---|",
    ]
    for rule in coverage.rules:
        cells = [rule.kind, f"`{rule.block}`", f"`{rule.what}`"]
        cells += [f"{coverage.excluded(rule.kind)[rule]:,}", rule.reason]
        text.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return "\n".join(text) + "\n"


def page(coverage: Coverage) -> str:
    """The page."""
    plan = tomllib.loads(PLAN.read_text("utf-8"))
    parts = [
        "<!doctype html><html lang='en'><meta charset='utf-8'>",
        "<meta name='viewport' content='width=device-width'><title>crosstile: coverage</title>",
        f"<style>{STYLE}</style><h1>Coverage of the tile</h1>",
        "<table><tr><th>what<th class=n>percent<th class=n>bar<th>",
    ]
    for name, percent in coverage.percents().items():
        bad = percent < BARS[name]
        parts.append(
            f"<tr><td>{name}<td class='n {'bad' if bad else 'good'}'>{percent:.2f}"
            f"<td class=n>{BARS[name]:g}<td>{_bar(percent, bad)}"
        )
    parts.append("</table><h2>The plan</h2>")
    parts.append("<table><tr><th>point<th>stimulus and check<th>tests<th class=n>bins")
    for name, point in plan.items():
        hit, of = (
            sum(counts)
            for counts in zip((0, 0), *map(coverage.group, point["covergroups"]), strict=True)
        )
        tests = "<br>".join(f"<code>{escape(t.partition('/')[2])}</code>" for t in point["tests"])
        groups = " ".join(f"<a href='#{g}'>{g}</a>" for g in point["covergroups"])
        parts.append(
            f"<tr><td>{name}<td>{escape(point['stimulus'])}<br><small>{escape(point['check'])}"
            f"</small><br>{groups}<td><details><summary>{len(point['tests'])}</summary>{tests}"
            f"</details><td class='n {'bad' if hit < of else ''}'>{f'{hit} / {of}' if of else ''}"
        )
    parts.append("</table><h2>Covergroups</h2>")
    parts.append("<table><tr><th>group<th>a bin is<th class=n>bins hit<th>hits")
    for name, (says, _) in GROUPS.items():
        hit, of = coverage.group(name)
        bins = "".join(
            f"<tr><td{' class=bad' if not count else ''}>{escape(one)}<td class=n>{count:,}"
            for one, count in coverage.hits[name].items()
        )
        parts.append(
            f"<tr id='{name}'><td>{name}<td>{escape(says)}<td class='n "
            f"{'bad' if hit < of else 'good'}'>{hit} / {of}"
            f"<td><details><summary>bins</summary><table>{bins}</table></details>"
        )
    parts.append("</table>")
    for design, kinds in coverage.designs.items():
        counts = design.startswith(REFERENCE)
        parts.append(
            f"<h2>Lines and toggles of <code>{escape(design.rpartition('-')[0])}</code></h2>"
        )
        if not counts:
            parts.append(
                "<p>For information: other sizes have bits of their own that never move.</p>"
            )
        parts.append(
            "<table><tr><th>module<th class=n>lines<th class=n>%<th class=n>toggles<th class=n>%"
        )
        whole = {kind: verilator.total(blocks) for kind, blocks in kinds.items()}
        rows = [("all", whole)] + [
            (name, {kind: kinds[kind].get(name, Figures()) for kind in verilator.KINDS})
            for name in sorted(kinds["toggle"])
        ]
        for name, ones in rows:
            cells = "".join(
                f"<td class=n>{one.hit:,} / {one.counted:,}<td class=n>{one.percent:.1f}"
                for one in ones.values()
            )
            parts.append(f"<tr><td>{escape(name)}{cells}")
        parts.append("</table>")
        for kind, one in whole.items() if counts else ():
            shown = sorted(one.missed, key=lambda p: (p.block, p.line, p.what))[:MISSES_SHOWN]
            misses = "".join(
                f"<tr><td>{escape(p.block)}<td class=n>{p.line}<td><code>{escape(p.what)}</code>"
                for p in shown
            )
            parts.append(
                f"<details><summary>{kind}: {len(one.missed):,} not covered"
                f"{f', the first {len(shown)}' if len(shown) < len(one.missed) else ''}"
                f"</summary><table><tr><th>module<th class=n>line<th>what{misses}</table></details>"
            )
    parts.append("<h2>Excluded</h2><table><tr><th>kind<th>module, what<th class=n>points<th>reason")
    for rule in coverage.rules:
        parts.append(
            f"<tr><td>{rule.kind}<td><code>{escape(rule.block)}</code><br><code>{escape(rule.what)}"
            f"</code><td class=n>{coverage.excluded(rule.kind)[rule]:,}<td>{escape(rule.reason)}"
        )
    return "\n".join(parts) + "</table></html>\n"


def _bar(percent: float, bad: bool) -> str:
    return (
        f"<div class=bar><i class='{'bad' if bad else ''}' style='width:{percent:.1f}%'></i></div>"
    )


def main(folder: Path) -> int:
    """See the head of the file."""
    coverage = load(folder / "raw")
    (folder / "index.html").write_text(page(coverage), "utf-8")
    (DOCS / "coverage.md").write_text(markdown(coverage), "utf-8")
    failed = False
    for name, percent in coverage.percents().items():
        failed |= percent < BARS[name]
        print(f"{name:<12}{percent:8.2f} %   bar {BARS[name]:g} %")
    for name in GROUPS:
        missing = [one for one, count in coverage.hits[name].items() if not count]
        if missing:
            print(f"{name}: not hit: {', '.join(missing)}")
    for rule in coverage.stale():
        failed = True
        print(f"excludes nothing: {rule.kind} {rule.block} {rule.what}")
    print(f"the page: {folder / 'index.html'}")
    return int(failed)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
