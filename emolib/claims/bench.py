"""What the checks of one paper share: its audit, its counted network, its results, its corpora.

What a network counts is the same on every machine, and counting it takes PyTorch. The counts that
the claims compare with therefore lie in ``data/claims/counts.json``, under the digest of the code
that they were counted from; ``emolib claims --recount`` writes the file again. A build that is not
in it, or whose code has changed since, is counted when it is asked for.
"""

import ast
import contextlib
import functools
import hashlib
import importlib
import inspect
import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, cast

import pandas as pd

from emolib import audit, paths, registry
from emolib.claims.judges import CostCheck
from emolib.claims.schema import Claim, Row, ledger_of, load
from emolib.claims.verdicts import ClaimError
from emolib.papers.experiment import Experiment, rows_beside
from emolib.results import Result, load_all

_LAYER = ["layer", "type", "output_shape", "parameters", "macs"]


class CountedNetwork:
    """What a paper's network counts, by build, and its options; from the file where it can be.

    `asked` holds what was counted or read so far, in the form of the file.
    """

    def __init__(self, key: str, stored: Mapping[str, Any]):
        self.key = key
        self.digest = code_digest(key)
        self._stored = stored if stored.get("code") == self.digest else {}
        self.asked: dict[str, Any] = {"code": self.digest}

    @property
    def options(self) -> dict[str, Any]:
        """The options of the paper's own model with their values."""
        if "options" not in self.asked:
            self.asked["options"] = self._stored.get("options") or _signature(self.key)
        return self.asked["options"]

    def numbers(self, options: Mapping[str, Any], inputs: Mapping[str, Any]) -> dict[str, float]:
        """Return the totals of one build by name: see `emolib.devices.Cost.to_dict`."""
        return self._counted("numbers", options, inputs)

    def layers(self, options: Mapping[str, Any]) -> pd.DataFrame:
        """Return the layers of one build: layer, type, output_shape, parameters, macs."""
        return pd.DataFrame(self._counted("layers", options, {}), columns=_LAYER)

    def _counted(self, what: str, options: Mapping[str, Any], inputs: Mapping[str, Any]) -> Any:
        build = json.dumps([options, inputs], sort_keys=True)
        asked = self.asked.setdefault(what, {})
        if build not in asked:
            stored = self._stored.get(what, {}).get(build)
            asked[build] = stored or _count(self.key, build)[what]
        return asked[build]


@functools.cache
def _count(key: str, build: str) -> dict[str, Any]:
    from emolib import devices, models

    options, inputs = json.loads(build)
    model = models.build(key, **options)
    # Options decide the inputs too; what example_inputs does not know it leaves aside.
    cost = devices.cost(model, models.example_inputs(key, batch=1, **{**options, **inputs}))
    layers = json.dumps(cost.layers[_LAYER].to_numpy().tolist(), default=int)
    return {"numbers": cost.to_dict(), "layers": json.loads(layers)}


def _signature(key: str) -> dict[str, Any]:
    module = importlib.import_module(f"emolib.models.{key}")
    network = getattr(module, registry.paper(key).model)
    parameters = inspect.signature(network).parameters.values()
    defaults = {p.name: p.default for p in parameters if p.default is not p.empty}
    return json.loads(json.dumps(defaults))


def code_digest(key: str) -> str:
    """Return the digest of the code that decides what a paper's network counts."""
    models = (paths.PACKAGE / "models" / f"{name}.py" for name in (key, "layers"))
    files = (paths.PACKAGE / "devices" / "cost.py", *models)
    return hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()[:16]


def stored_counts() -> dict[str, Any]:
    """Return the committed counts by paper."""
    file = paths.CLAIMS / "counts.json"
    return json.loads(file.read_bytes()) if file.is_file() else {}


class Bench:
    """What the checks of one paper share."""

    def __init__(self, key: str, counts: Mapping[str, Any] | None = None):
        self.key = key
        counts = stored_counts() if counts is None else counts
        self.network = CountedNetwork(key, counts.get(key, {}))
        self._others: dict[str, list[Result]] = {}

    def published(self, expression: str) -> dict[str, str]:
        """Return the published values by id, of this paper and of those that braces name."""
        named = set(re.findall(r"\{([a-z]+)-", expression)) & {*registry.PAPERS}
        return {claim.id: claim.published for key in {self.key, *named} for claim in load(key)}

    def settings(self, module: str | None = None) -> dict[str, Any]:
        """What the rebuild sets: see `settings_of`; and its network's options, ``Model.dropout``.

        Parameters
        ----------
        module : str, optional
            Where, such as ``features.window``; by default the file of the paper in ``papers``.
        """
        options = {f"Model.{name}": value for name, value in self.network.options.items()}
        return settings_of(module or f"papers.{self.key}") | options

    @functools.cached_property
    def report(self) -> audit.AuditReport:
        """The audit of the paper's tables."""
        return audit.paper(self.key)

    @functools.cached_property
    def results(self) -> list[Result]:
        """Every committed result of the paper."""
        return load_all(self.key)

    @functools.cached_property
    def stated(self) -> dict[str, str]:
        """What the paper prints a value of, with the claim that says so."""
        return {
            claim.quantity: claim.id
            for claim in load(self.key)
            if claim.own and claim.check.kind != "unstated"
        }

    @functools.cached_property
    def readings(self) -> list[dict[str, Any]]:
        """Our own reading of the paper's layers, {}, and the others that its ledger lists."""
        return [{}, *ledger_of(self.key).paper.readings]

    @functools.cached_property
    def reading(self) -> dict[str, Any]:
        """The reading in which all counts come out that are judged jointly; else our own."""
        for options in self.readings:
            verdicts = [
                claim.check.read(options).as_read(claim, self)
                for claim in load(self.key)
                if isinstance(claim.check, CostCheck) and claim.check.jointly
            ]
            if all(verdict.verdict == "reproduced" for verdict in verdicts):
                return options
        return {}

    @property
    def why_this_reading(self) -> str:
        """Say in a sentence why the counts are read so."""
        if self.reading:
            return "It is the one in which all of the paper's counts come out."
        return "No reading gives all of the paper's counts at once; this is ours."

    def results_of(self, key: str) -> list[Result]:
        """Return every committed result of any paper; each paper's are read once."""
        if key == self.key:
            return self.results
        if key not in self._others:
            self._others[key] = load_all(key)
        return self._others[key]

    def result(self, key: str, experiment: str) -> Result | None:
        """Return a committed result of any paper, None if it has not been made."""
        known = self.results_of(key)
        return next((each for each in known if each.experiment == experiment), None)

    def cells(self, claim: Row) -> list[Claim]:
        """Return the claims that stand in one printed table with this one, cell by cell."""
        return [
            other
            for other in load(self.key)
            if (other.source, getattr(other.check, "experiment", None))
            == (claim.source, getattr(claim.check, "experiment", None))
            and getattr(other.check, "cls", None) is not None
        ]

    @functools.cached_property
    def facts(self) -> pd.DataFrame:
        """Published counts of the corpora, by fact; the head of the file says what a row holds."""
        table = pd.read_csv(paths.CLAIMS / "corpora.csv", comment="#", dtype=str)
        return table.fillna("").set_index("fact")

    @functools.cached_property
    def declared(self) -> dict[str, dict[str, Any]]:
        """The rows of the experiments that the paper declares, by name: `rows_beside`."""
        return rows_beside(paths.PACKAGE / "papers" / f"{self.key}.py")

    def experiment(self, name: str) -> Experiment:
        """Return a declared experiment, without its recipe: that takes PyTorch.

        Raises
        ------
        ClaimError
            If the paper declares none of that name.
        """
        if name not in self.declared:
            raise ClaimError(f"emolib/papers/{self.key}.yml declares no experiment {name!r}")
        row = self.declared[name]
        return Experiment(**{field: value for field, value in row.items() if field != "recipe"})

    def macs(self, name: str) -> float:
        """Return the multiply-accumulates that the network of an experiment takes for a sample."""
        one = self.experiment(name)
        # Weights to begin with change no count, and would have to be fetched.
        options = {option: value for option, value in one.options.items() if option != "weights"}
        sizes = {side: one.data[side] for side in ("size", "frames") if side in one.data}
        return self.network.numbers({"modality": one.modality, **options}, sizes)["macs"]

    @functools.cached_property
    def latency(self) -> pd.DataFrame:
        """Measured times of a forward pass: claim, device, median_ms."""
        file = paths.find(paths.RESULTS / self.key / "latency.csv")
        empty = pd.DataFrame({"claim": [], "device": [], "median_ms": []}, dtype=str)
        return pd.read_csv(file, dtype={"claim": str, "device": str}) if file.exists() else empty

    def whole(self, fact: pd.Series) -> bool:
        """Whether all actors of a corpus are in the recordings, so that a count of it counts."""
        actors = fact.to_dict() | {"where": "", "unique": "actor"}
        published = self.facts.loc[f"{fact['corpus']}-actors", "value"]
        return (self.counted(pd.Series(actors)) or 0) >= int(published)

    def counted(self, fact: pd.Series) -> float | None:
        """Count a fact in the recordings, None if they are not here or it cannot be counted."""
        folder = paths.recordings() / fact["corpus"]
        if not fact["corpus"] or not folder.is_dir():
            return None
        from emolib import corpora

        try:
            manifest = _manifest(fact["corpus"], str(folder), fact["options"])
        except corpora.CorpusError:  # a folder without these recordings: nothing to count
            return None
        for part in fact["where"].split():
            column, value = part.split("=")
            manifest = manifest[manifest[column] == value]
        if fact["measure"]:
            digits = len(fact["value"].partition(".")[2])
            return round(cast("float", manifest.eval(fact["measure"])), digits)
        return int(manifest[fact["unique"]].nunique() if fact["unique"] else len(manifest))


@functools.cache
def settings_of(module: str) -> dict[str, Any]:
    """Return the literals that a module of the package sets, read off its source.

    Importing it would take PyTorch. ``NAME = 6`` is there as ``NAME``, ``NAME = Recipe(lr=0.1)``
    as ``NAME.lr``, and ``def f(rate=0.5)`` as ``f.rate``.
    """
    file = paths.PACKAGE.joinpath(*module.split(".")).with_suffix(".py")
    found: dict[str, Any] = {}
    for name, value in _assigned(ast.parse(file.read_text(encoding="utf-8"))):
        with contextlib.suppress(ValueError):  # no literal
            found[name] = ast.literal_eval(value)
    return found


def _assigned(module: ast.Module) -> Iterator[tuple[str, ast.expr]]:
    """Find what a module's top level names, and with what."""
    for node in module.body:
        match node:
            case ast.Assign(targets=[ast.Tuple(elts=names)], value=ast.Tuple(elts=values)):
                yield from zip(map(ast.unparse, names), values, strict=True)
            case ast.Assign(targets=[name], value=value):
                yield ast.unparse(name), value
                for field in value.keywords if isinstance(value, ast.Call) else ():
                    yield f"{ast.unparse(name)}.{field.arg}", field.value
            case ast.FunctionDef(name=name, args=args):
                last = args.args[len(args.args) - len(args.defaults) :]
                defaults = (*args.defaults, *args.kw_defaults)
                for arg, default in zip((*last, *args.kwonlyargs), defaults, strict=True):
                    if default is not None:
                        yield f"{name}.{arg.arg}", default


@functools.lru_cache(maxsize=8)
def _manifest(corpus: str, root: str, options: str) -> pd.DataFrame:
    from emolib import corpora

    return corpora.load(corpus, root, **dict(part.split("=") for part in options.split()))
