"""What every paper chapter shows, said the same way in all of them.

A notebook holds prose, short calls and figures. The tables that all chapters share live here:
claims and verdicts from the ledger, committed results with their provenance, the clips of a data
set, and what leaks through a split.
"""

import html
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from emolib import results as stored
from emolib.claims import DEFINITIONS, ENOUGH, VERDICTS, ledger, schema
from emolib.results import corpus_name


@dataclass(frozen=True)
class Table:
    """A table that a page shows as HTML and a terminal as text."""

    frame: pd.DataFrame
    caption: str = ""
    note: str = ""

    def _repr_html_(self) -> str:
        caption = html.escape(self.caption)
        above = f'<p class="emolib-caption">{caption}</p>' if caption else ""
        body = self.frame.to_html(index=False, escape=False, border=0, classes="emolib-table")
        below = f'<p class="emolib-note">{self.note}</p>' if self.note else ""
        return f'{above}<div class="emolib-scroll" tabindex="0">{body}</div>{below}'

    def __repr__(self) -> str:
        """Return the caption and the plain table."""
        return f"{self.caption}\n{self.frame.to_string(index=False)}"


# --- rooms 1 and 10: claims and verdicts -----------------------------------------------------


def claims(key: str) -> Table:
    """Return what the paper claims: where it says so, what, and the value as printed."""
    columns = ("source", "quantity", "published", "unit")
    own = [claim for claim in schema.load(key) if claim.own]
    table = pd.DataFrame([[getattr(claim, c) for c in columns] for claim in own], columns=columns)
    return Table(_as_printed(table), f"{len(table)} claims, in the order of the paper")


def verdicts(key: str) -> Table:
    """Return every claim with the two questions it is asked, the verdict, and why."""
    table = ledger.table(key, own=True)
    rows = table.to_dict("records")
    shown = _as_printed(table).assign(
        **{
            "as printed, measured here": [measured(row) for row in rows],
            "for new people": [new_people(row) for row in rows],
            # The badge stands above its reason: a column of its own would take its width.
            "verdict": [
                f'<div class="emolib-why">{badge(row["verdict"])} {cell(row["why"])}'
                + (f"<br><code>{cell(row['settle_with'])}</code>" if row["settle_with"] else "")
                + f"<details><summary>what it rests on</summary>{rests(row)}</details></div>"
                for row in rows
            ],
        }
    )
    facts = ledger.once(table)
    counts = facts["verdict"].value_counts()
    listing = ", ".join(f"{counts[name]} {name}" for name in VERDICTS if name in counts)
    return Table(shown, f"{len(facts)} facts in {len(table)} rows: {listing}")


def measured(row: Mapping[str, Any], address: str | None = None) -> str:
    """Return what was measured under the paper's own protocol, as HTML; "" if nothing was."""
    return _score(row["measured"], row["interval"], row, "", address)


def new_people(row: Mapping[str, Any], address: str | None = None) -> str:
    """Return what the same network gives for people it has not met, as HTML.

    A score that was measured for people it knows says so where nobody measured it for others.
    """
    if row["new_people_result"]:
        prefix = "new_people_"
        return _score(row["new_people"], row["new_people_interval"], row, prefix, address)
    return '<span class="emolib-note">not measured</span>' if row["leak"] else ""


def _score(
    value: float,
    interval: tuple[float, float] | None,
    row: Mapping,
    prefix: str,
    address: str | None,
) -> str:
    """Return a value with its interval and, of a run, its split, seeds and folds."""
    shown = number(value)
    if address and shown:
        shown = f'<a href="{cell(address)}">{shown}</a>'
    if isinstance(interval, tuple):
        shown += f" [{number(interval[0])}, {number(interval[1])}]"
    if row[f"{prefix}split"]:
        seeds, folds, of = (row[f"{prefix}{name}"] for name in ("seeds", "folds", "n_folds"))
        leak = ", leaks" if row[f"{prefix}leak"] else ""
        runs = f"{seeds} seed{'s' if seeds > 1 else ''}, {folds} of {of} folds"
        shown += f'<br><span class="emolib-note">by {row[f"{prefix}split"]}{leak}; {runs}</span>'
    return shown


def rests(row: Mapping[str, Any]) -> str:
    """Return what a verdict rests on and what would overturn it, as HTML."""
    return (
        f"{cell(row['strength']).capitalize()} ({cell(row['tier'])}). "
        f"It would be overturned by {cell(row['overturned_by'])}."
    )


def words() -> Table:
    """Return what each verdict means: the only definition there is."""
    frame = pd.DataFrame(
        [(badge(word), cell(meaning)) for word, meaning in DEFINITIONS.items()],
        columns=["verdict", "meaning"],
    )
    return Table(frame, "", ENOUGH)


def findings(key: str) -> Table:
    """Return what was found beside a paper's claims: no paper says it, and it counts nowhere."""
    table = ledger.findings(key)
    shown = pd.DataFrame(
        {
            "finding": table["quantity"].map(cell),
            "bears on": table["bears_on"].map(lambda ids: "<br>".join(map(cell, ids))),
            "compared with": table["published"].map(cell) + " " + table["unit"].map(cell),
            "found": [measured(row) for row in table.to_dict("records")],
            "why": table["why"].map(cell),
        }
    )
    return Table(shown, f"{len(shown)} findings of ours beside the claims of the paper")


def _as_printed(table: pd.DataFrame) -> pd.DataFrame:
    printed = table["published"].map(cell) + " " + table["unit"].map(cell)
    columns = {"where": table["source"].map(cell), "what": table["quantity"].map(cell)}
    return pd.DataFrame(columns | {"printed": printed.str.strip()})


def badge(verdict: str) -> str:
    """Return a verdict as a small coloured label; the word itself carries the meaning."""
    return f'<span class="emolib-badge emolib-{style(verdict)}">{html.escape(verdict)}</span>'


def style(verdict: str) -> str:
    """Return the class that colours a verdict: ``awaits data`` → ``awaits-data``."""
    return re.sub(r"[^a-z]+", "-", verdict)


def cell(value) -> str:
    """Return a value as HTML text; missing values are empty."""
    missing = value is None or (not isinstance(value, str) and pd.isna(value))
    return "" if missing else html.escape(str(value))


def number(value) -> str:
    """Return a measured value as HTML text: whole numbers in full, others to five digits."""
    if not isinstance(value, (int, float)) or pd.isna(value):
        return cell(value)
    if float(value).is_integer() or abs(value) >= 1e5:
        return f"{value:,.0f}"
    return f"{value:,.5g}" if abs(value) >= 1e-4 or not value else f"{value:.1e}"


# --- room 7: what an option costs ----------------------------------------------------------


def count(key: str, **options):
    """Return the `devices.Cost` of a model built with `options`, for one sample."""
    from emolib import devices, models

    inputs = models.example_inputs(key, batch=1, **options)
    return devices.cost(models.build(key, **options), inputs)


# --- room 4: data and split ------------------------------------------------------------------


def clips(dataset) -> Table:
    """Return how many clips of each emotion and actor a data set holds, and what was left out."""
    manifest = dataset.manifest
    table = pd.crosstab(manifest["emotion"], manifest["actor"]).reindex(dataset.classes)
    counts = pd.DataFrame({"clips": table.sum(axis=1), "actors": (table > 0).sum(axis=1)})
    caption = (
        f"{corpus_name(manifest['corpus'].iloc[0])}: {len(manifest)} clips of "
        f"{table.shape[1]} actors, {len(dataset.samples)} samples ({dataset.n_segments} per clip); "
        f"{dataset.features.get('clips_left_out', 0)} clips left out as unusable"
    )
    return Table(counts.rename_axis("emotion").reset_index(), caption)


def leaks(dataset, splits: Iterable) -> Table:
    """Return, for each split, how many pairs of train and test rows share what."""
    rows = []
    for split in splits:
        leak = split.kind if split.kind in ("segment", "clip") else None
        report = split.check(dataset.manifest, allow_leak=leak, images=dataset.images)
        rows.append({"split": split.kind, **report.counts})
    frame = pd.DataFrame(rows).fillna(0)
    return Table(frame, "pairs of training and test rows that share an actor, a clip, …")


# --- room 6: committed results ---------------------------------------------------------------


def results(key: str, experiments: Sequence[str]) -> Table:
    """Return the committed full results, one row each, with intervals and provenance.

    Samples are what the network answers for (segments, where a clip is cut into several); clips
    are judged by the mean of their samples, and only where all of them stand on one side of
    the split. Where every clip is one sample, one column says it. An experiment without a result
    keeps its row, with the command that would make it: nothing is left out in silence.
    """
    rows, notes = [], []
    stored = {name: committed(key, name) for name in experiments}
    segmented = any(result.n_segments > 1 for result in stored.values() if result)
    for name, result in stored.items():
        if result is None:
            command = f"emolib train {key} --experiment {name}"
            rows.append({"experiment": f"{name}: <code>{command}</code>"})
            continue
        row = {"experiment": html.escape(result.title), "runs": str(len(result.runs))}
        summary, of = result.summary, ""
        if segmented:
            row["accuracy, samples"] = _summary(
                summary.get("segment_accuracy", summary["accuracy"])
            )
            summary, of = (summary if result.level == "clip" else {}), ", clips"
        row |= {f"accuracy{of}": _summary(summary.get("accuracy"))}
        row |= {f"UAR{of}": _summary(summary.get("uar"))}
        rows.append(row | {"parameters": f"{result.model.parameters:,}"})
        notes.append(f"<code>{name}</code>: {html.escape(result.provenance_line())}")
    drawn = "actors drawn with replacement, or pictures where people have no names"
    caption = f"percent: mean over seeds ± sd [95 % interval; {drawn}]"
    return Table(pd.DataFrame(rows).fillna(""), caption, "<br>".join(notes))


def results_frame(key: str, experiments: Sequence[str], metric: str = "accuracy") -> pd.DataFrame:
    """Return committed results as `plots.intervals` draws them, in percent; missing ones left out.

    Columns ``label, value, low, high, modality, experiment``.
    """
    rows = []
    for name in experiments:
        result = committed(key, name)
        if result is not None and metric in result.summary:
            summary = result.summary[metric]
            value, low, high = (100 * share for share in (summary.mean, *summary.interval))
            rows.append((name.replace("-", " "), value, low, high, result.modality, name))
    return pd.DataFrame(rows, columns=["label", "value", "low", "high", "modality", "experiment"])


def committed(key: str, name: str) -> stored.Result | None:
    """Return a committed result, or None if that experiment was not run yet."""
    return stored.load(key, name) if stored.path(key, name).exists() else None


def grid(table: pd.DataFrame) -> pd.DataFrame:
    """Return an ablation's table (`labs.studies.ablation`) as a page shows it, in percent."""
    shares = [c for c in ("accuracy", "uar", "low", "high", "sd", "difference") if c in table]
    shown = table.assign(**{name: 100 * table[name] for name in shares})
    return shown.round(3).astype(object).fillna("")


def _summary(summary) -> str:
    if summary is None:
        return ""
    low, high = summary.interval
    spread = "" if math.isnan(summary.sd) else f" ± {100 * summary.sd:.1f}"  # one seed has none
    return f"{100 * summary.mean:.1f}{spread} [{100 * low:.1f}, {100 * high:.1f}]"
