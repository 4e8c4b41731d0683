"""One experiment: what is trained on what, and how it is tested. Checked where it is made.

Papers and labs declare theirs in a table ``FULL``, name → `Experiment`; ``engine.run`` makes the
result, and `command` says how a reader makes it. Nothing here needs PyTorch.
"""

import dataclasses
import json
import math
import operator
import shlex
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from emolib.corpora import CORPORA, splits
from emolib.errors import EmolibError

if TYPE_CHECKING:
    from emolib.training import TrainingRecipe

#: Kinds of split that leak by design: an experiment has to name the leak to use them.
LEAKING = ("segment", "clip")
_MAPPINGS = ("options", "data", "split_options")


class ExperimentError(EmolibError, ValueError):
    """An experiment cannot be run as asked; the message says what to change."""


def choose(what: str, value: object, known: Iterable) -> None:
    """Refuse a value that is not among those known.

    Raises
    ------
    ExperimentError
        Naming the option, the value and what is known.
    """
    known = tuple(known)
    if value not in known:
        raise ExperimentError(f"unknown {what} {value!r}: known are {', '.join(map(str, known))}")


@dataclass(frozen=True)
class Experiment:
    """What is trained on what, and how it is tested.

    Attributes
    ----------
    corpus
        Key of a corpus; several, joined by "+", are put together with the emotions of all.
    modality
        What of the recordings the model gets; which there are, each paper says.
    split
        A kind of split (of `emolib.corpora.splits.KINDS`), or a split.
    seeds, folds
        Every seed is run on every fold; None means all folds.
    options
        Of the model: ``models.build(key, **options)``.
    data
        Of the paper's ``load``.
    split_options
        Of ``splits.make``, for a split given by its kind: ``{"valid": 0.1}``.
    recipe
        Replaces the paper's own recipe.
    allow_leak
        Must repeat the kind of a split that leaks; the title of the result then says so.
    note
        Added to the title: what sets this experiment apart.

    Raises
    ------
    ExperimentError
        If a field cannot be meant so; the message names what is allowed.
    LeakError
        If the split leaks and the leak is not named.

    Examples
    --------
    >>> voices = Experiment("ravdess", "audio", seeds=[0, 1])
    >>> dataclasses.replace(voices, split="clip", allow_leak="clip").seeds
    (0, 1)
    """

    corpus: str
    modality: str
    split: "str | splits.Split" = "actor"
    seeds: tuple[int, ...] = (0, 1, 2)
    folds: tuple[int, ...] | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    data: Mapping[str, Any] = field(default_factory=dict)
    split_options: Mapping[str, Any] = field(default_factory=dict)
    recipe: "TrainingRecipe | None" = None
    allow_leak: str | None = None
    note: str = ""

    def __post_init__(self) -> None:
        """Bring every field into its one form, or refuse it."""
        fixed: dict[str, Any] = {name: _fixed(name, getattr(self, name)) for name in _MAPPINGS}
        fixed["seeds"] = _whole_numbers("seeds", self.seeds)
        if self.folds is not None:
            fixed["folds"] = _whole_numbers("folds", self.folds)
        for name, value in fixed.items():
            object.__setattr__(self, name, value)
        for name in ("corpus", "modality", "note"):
            if not isinstance(getattr(self, name), str):
                raise ExperimentError(f"{name}={getattr(self, name)!r}: give text")
        for corpus in self.corpus.split("+"):
            choose("corpus", corpus, CORPORA)
        if not isinstance(self.split, splits.Split):
            choose("kind of split", self.split, splits.KINDS)
            if self.split in splits.PEERS:
                choose(f"corpus for {self.split}", self.corpus, splits.dealt_by_peers())
        if self.allow_leak is not None:
            choose("leak", self.allow_leak, splits.ALLOWS)
        if "modality" in self.options:
            raise ExperimentError("modality is a field of an experiment, not one of its options")
        if self.recipe is not None:
            from emolib.training import TrainingRecipe

            if not isinstance(self.recipe, TrainingRecipe):
                raise ExperimentError(
                    f"recipe={self.recipe!r}: give a TrainingRecipe, or None for the paper's"
                )
        _check_leak(self.kind, self.allow_leak)

    def __hash__(self) -> int:
        """Return the same number for equal experiments."""
        return hash((self.corpus, self.modality, self.kind, self.seeds, self.folds, self.note))

    @property
    def kind(self) -> str:
        """The kind of the split."""
        return self.split.kind if isinstance(self.split, splits.Split) else self.split

    def changed(self, **fields: Any) -> "Experiment":
        """Return a copy with other fields; options, data and split options are laid over these.

        Another split does not inherit the leak that was allowed.

        Examples
        --------
        >>> wide = Experiment("ravdess", "audio", options={"width": 2, "dropout": 0.1})
        >>> dict(wide.changed(options={"dropout": 0.2}).options)
        {'width': 2, 'dropout': 0.2}
        """
        unknown = set(fields) - {own.name for own in dataclasses.fields(self)}
        for name in sorted(unknown):
            choose("field", name, [own.name for own in dataclasses.fields(self)])
        for name in set(_MAPPINGS) & set(fields):
            fields[name] = getattr(self, name) | fields[name]
        if fields.get("split", self.split) != self.split:
            fields.setdefault("allow_leak", None)
        return dataclasses.replace(self, **fields)

    def to_command(self, key: str, *, mode: str = "full") -> str:
        """Return the ``emolib train`` command that makes a result like this, field by field.

        Parameters
        ----------
        key
            The paper or lab.
        mode
            "quick" or "full".

        Raises
        ------
        ExperimentError
            If it has a recipe or a split of its own: a command cannot hold them.
        """
        if self.recipe is not None or self.kind is not self.split:
            raise ExperimentError(
                "a command cannot hold a recipe or a table of folds: declare the experiment in "
                f"FULL of {key} and give its name"
            )
        words = ["--corpus", self.corpus, "--modality", self.modality, "--split", self.kind]
        for field_name in _MAPPINGS:
            for option, value in getattr(self, field_name).items():
                flag = field_name.removesuffix("s").replace("_", "-")
                words += [f"--{flag}", f"{option}={_as_yaml(value)}"]
        words += ["--allow-leak", self.allow_leak] if self.allow_leak else []
        words += ["--seeds", ",".join(map(str, self.seeds))]
        words += ["--folds", ",".join(map(str, self.folds))] if self.folds else []
        return shlex.join(["emolib", "train", key, *words, "--mode", mode])


def rows_beside(module: str | Path) -> dict[str, dict[str, Any]]:
    """Return the rows of the ``.yml`` beside a module that declare an experiment, by its name.

    A row holds the fields of an `Experiment`; one whose name begins with ``_`` only lends its
    own (``<<: *name``). Its ``recipe`` is still what the row says: what it changes, of which one.
    """
    import yaml

    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    rows = yaml.load(Path(module).with_suffix(".yml").read_text("utf-8"), loader)
    return {name: row for name, row in rows.items() if not name.startswith("_")}


def experiments_beside(module: str, **recipes: "TrainingRecipe") -> dict[str, Experiment]:
    """Return the experiments of the ``.yml`` beside a module, name → experiment.

    The rows are as `rows_beside` says; ``recipe`` is one of `recipes`, changed:
    ``{of: RECIPE, lr: 0.01}``.

    Parameters
    ----------
    module
        The ``__file__`` of the paper.
    recipes
        Name → recipe.
    """
    declared = rows_beside(module)
    for row in declared.values():
        if changes := dict(row.get("recipe", {})):
            row["recipe"] = dataclasses.replace(recipes[changes.pop("of")], **changes)
    return {name: Experiment(**row) for name, row in declared.items()}


def command(key: str, experiment: "str | Experiment") -> str:
    """Return the command that makes a result: of a declared experiment's name, or of one.

    Examples
    --------
    >>> command("lu", "audio-actor")
    'emolib train lu --experiment audio-actor'
    >>> command("lu", Experiment("ravdess", "audio", seeds=(0,)))
    'emolib train lu --corpus ravdess --modality audio --split actor --seeds 0 --mode full'
    """
    if isinstance(experiment, str):
        return f"emolib train {key} --experiment {experiment}"
    return experiment.to_command(key)


def _as_yaml(value: object) -> str:
    """Return a value in one line, as the command line reads it."""
    import yaml

    if isinstance(value, str):
        return value if yaml.safe_load(value) == value else json.dumps(value)
    return yaml.safe_dump(value, default_flow_style=True, width=math.inf).split("\n")[0]


def _fixed(name: str, value: object) -> Mapping[str, Any]:
    """Return a mapping that nobody changes, with tuples for lists."""
    if not isinstance(value, Mapping) or not all(isinstance(key, str) for key in value):
        raise ExperimentError(f"{name}={value!r}: give a mapping of names to values")
    return MappingProxyType({key: _without_lists(each) for key, each in value.items()})


def _without_lists(value: Any) -> Any:
    return tuple(map(_without_lists, value)) if isinstance(value, list | tuple) else value


def _whole_numbers(name: str, values: Any) -> tuple[int, ...]:
    try:
        numbers = tuple(operator.index(value) for value in values)
    except TypeError:
        numbers = ()
    if (
        not numbers
        or len({*numbers}) < len(numbers)
        or not 0 <= min(numbers) <= max(numbers) < 2**32
    ):
        raise ExperimentError(
            f"{name}={values!r}: give one or more different whole numbers from 0 to {2**32 - 1}, "
            f"such as {name}=(0, 1, 2)"
        )
    return numbers


def _check_leak(kind: str, allow_leak: str | None) -> None:
    if kind in LEAKING and allow_leak != kind:
        from emolib.results import LEAKS

        raise splits.LeakError(
            f"a split by {kind} puts {LEAKS[kind]} of the test: its numbers do not hold for a new "
            f'speaker. Use split="actor", or say allow_leak="{kind}" to measure the leak itself; '
            "the result's title will carry it"
        )
