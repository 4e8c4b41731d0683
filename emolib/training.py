"""The one training loop: a recipe, tensors on the device, Lightning Fabric around them.

The five papers train small models on a few thousand samples. Such a data set fits into
memory, so it stays there as tensors and is indexed batch by batch: no worker processes, no
per-item Python. `fit` is the loop that every chapter uses; what differs between the papers
is data in a `TrainingRecipe`.

Three promises, each tested: the same seed on the same machine (and the same number of
threads) gives the same weights bit for bit; a run that was killed and started again ends
with the weights it would have had; the test rows are never seen here.
"""

import hashlib
import json
import math
import random
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, get_type_hints

import numpy as np
import pandas as pd
import torch
from pydantic import Field, NonNegativeFloat, PositiveFloat, PositiveInt
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim import Optimizer
from tqdm import tqdm

from emolib import paths
from emolib.errors import EmolibError, misfit

if TYPE_CHECKING:
    from lightning.fabric import Fabric

Inputs = dict[str, Tensor]
# prepare(inputs, generator or None) and augment(inputs, generator), both -> inputs
Prepare = Callable[[Inputs, torch.Generator | None], Inputs]
Augment = Callable[[Inputs, torch.Generator], Inputs]

Precision = Literal["32-true", "bf16-mixed", "16-mixed"]
BelowOne = Annotated[float, Field(ge=0, lt=1)]

# A checkpoint may be older than the last epoch: replaying those epochs gives the same
# weights, so writing one after every 50 ms epoch would buy nothing.
CHECKPOINT_EVERY_SECONDS = 5.0


class TrainingError(EmolibError, RuntimeError):
    """Training cannot start or go on; the message says why and what to do."""


class TrainingInterrupted(KeyboardInterrupt):
    """Training was stopped by Ctrl-C; the message says how to go on."""


@dataclass(frozen=True)
class TrainingRecipe:
    """How a model is trained; two recipes with the same `digest` train alike.

    Attributes
    ----------
    optimizer
        "adam", "adamw" or "sgd" (Nesterov momentum 0.9).
    lr, betas, eps, weight_decay
        The optimiser's own settings.
    batch_size
        Samples in one step. A last batch of one sample joins the batch before it, because
        batch normalisation cannot work on a single value per channel.
    max_epochs
        Upper limit of passes over the training rows.
    scheduler, scheduler_options
        None, "cosine" (per epoch, to zero at `max_epochs`), "plateau" (on the validation
        loss) or "onecycle" (per step); options as pairs, e.g. ``(("patience", 5),)``.
    clip_norm
        Largest global L2 norm of the gradient.
    patience, min_delta, monitor, restore_best
        Early stopping: an epoch is better when `monitor` on the validation rows ("loss",
        "accuracy" or "uar") improves by more than `min_delta`; after `patience` epochs that
        are not, training ends. The weights of the best epoch are restored.
    label_smoothing, class_weights, mixup
        Loss: smoothing in [0, 1); weights inverse to the class counts of the training rows;
        mixup with Beta(`mixup`, `mixup`) when positive. The validation loss is always the
        plain cross-entropy.
    precision
        Fabric's name for it: "32-true", "bf16-mixed", "16-mixed".
    """

    optimizer: Literal["adam", "adamw", "sgd"] = "adam"
    lr: PositiveFloat = 1e-3
    betas: tuple[BelowOne, BelowOne] = (0.9, 0.999)
    eps: PositiveFloat = 1e-8
    weight_decay: NonNegativeFloat = 0.0
    batch_size: PositiveInt = 128
    max_epochs: PositiveInt = 200
    scheduler: Literal["cosine", "plateau", "onecycle"] | None = None
    scheduler_options: tuple[tuple[str, float], ...] = ()
    clip_norm: PositiveFloat | None = None
    patience: PositiveInt | None = None
    min_delta: NonNegativeFloat = 0.0
    monitor: Literal["loss", "accuracy", "uar"] = "loss"
    restore_best: bool = True
    label_smoothing: BelowOne = 0.0
    class_weights: bool = False
    mixup: NonNegativeFloat = 0.0
    precision: Precision = "32-true"

    def __post_init__(self) -> None:
        """Refuse what no training could follow, naming what is allowed."""
        for name, hint in get_type_hints(TrainingRecipe, include_extras=True).items():
            if problem := misfit(getattr(self, name), hint):
                raise TrainingError(f"{name}={getattr(self, name)!r} of a recipe: {problem}")

    def digest(self) -> str:
        """Return 16 hexadecimal digits that name this recipe."""
        return hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()[:16]

    def quick(self, max_epochs: int = 3) -> "TrainingRecipe":
        """Return the same recipe with at most `max_epochs` epochs, to check machinery with."""
        return replace(self, max_epochs=min(self.max_epochs, max_epochs))


@dataclass(frozen=True)
class Samples:
    """Input tensors that share their first axis, and one label for each row of it."""

    inputs: Inputs
    labels: Tensor

    def __post_init__(self) -> None:
        """Check that every input has as many rows as there are labels."""
        for name, values in self.inputs.items():
            if len(values) != len(self.labels):
                raise TrainingError(
                    f"input {name!r} has {len(values)} rows but there are {len(self.labels)} "
                    "labels: build both from the same manifest"
                )

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self.labels)

    def to(self, device: torch.device | str) -> "Samples":
        """Return the same samples on another device."""
        inputs = {name: values.to(device) for name, values in self.inputs.items()}
        return Samples(inputs, self.labels.to(device))

    def take(self, indices: Tensor | np.ndarray | Sequence[int]) -> "Samples":
        """Return the rows at `indices`, in that order."""
        rows = torch.as_tensor(indices, dtype=torch.long, device=self.labels.device)
        inputs = {name: values[rows] for name, values in self.inputs.items()}
        return Samples(inputs, self.labels[rows])

    def join(self, other: "Samples") -> "Samples":
        """Return these rows followed by those of `other`."""
        inputs = {
            name: torch.cat([values, other.inputs[name]]) for name, values in self.inputs.items()
        }
        return Samples(inputs, torch.cat([self.labels, other.labels]))


@dataclass(frozen=True)
class Fit:
    """A trained model and how it got there.

    `history` has one row per epoch: ``epoch, train_loss, train_accuracy, valid_loss,
    valid_accuracy, valid_uar, lr, seconds``. `seconds` sums what the epochs took, those
    before an interruption included.
    """

    model: nn.Module
    history: pd.DataFrame
    best_epoch: int
    seconds: float


@dataclass
class _State:
    """How far a run has come: what changes besides model, optimiser and random states."""

    epoch: int = 0  # epochs done
    history: list[dict] = field(default_factory=list)
    best_score: float = float("-inf")
    best_epoch: int = 0
    best_weights: dict | None = None
    waited: int = 0  # epochs since the best one
    finished: bool = False

    def enter(self, measured: dict, model: nn.Module, recipe: TrainingRecipe) -> None:
        """Enter an epoch into the history; keep its weights if best; decide whether to stop."""
        value = measured[f"valid_{recipe.monitor}"]
        score = -value if recipe.monitor == "loss" else value
        self.epoch += 1
        self.history.append(measured)
        if score > self.best_score + recipe.min_delta or self.best_weights is None:
            self.best_score, self.best_epoch, self.waited = score, self.epoch, 0
            self.best_weights = {k: v.detach().clone() for k, v in model.state_dict().items()}
        else:
            self.waited += 1
        tired = recipe.patience is not None and self.waited >= recipe.patience
        self.finished = tired or self.epoch >= recipe.max_epochs


def seed_everything(seed: int) -> None:
    """Seed Python's, NumPy's and PyTorch's global random number generators.

    Raises
    ------
    TrainingError
        Unless the seed is a whole number from 0 to 2³² - 1, which all three take.
    """
    if not isinstance(seed, int) or not 0 <= seed < 2**32:
        raise TrainingError(f"seed={seed!r}: give a whole number from 0 to {2**32 - 1}")
    random.seed(seed)
    np.random.seed(seed)  # noqa: NPY002 -- libraries that draw from the global state
    torch.manual_seed(seed)


@contextmanager
def deterministic() -> Iterator[None]:
    """Use algorithms that give the same bits on every run, and restore the settings after."""
    before = torch.are_deterministic_algorithms_enabled()
    warn_only = torch.is_deterministic_algorithms_warn_only_enabled()
    memory: Any = torch.utils.deterministic
    fill = memory.fill_uninitialized_memory
    benchmark = torch.backends.cudnn.benchmark
    # A few CUDA kernels have no deterministic form: those warn instead of ending the run.
    torch.use_deterministic_algorithms(True, warn_only=True)
    memory.fill_uninitialized_memory = False
    torch.backends.cudnn.benchmark = False
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(before, warn_only=warn_only)
        memory.fill_uninitialized_memory = fill
        torch.backends.cudnn.benchmark = benchmark


# mallopt's parameters (glibc, malloc.h) with the values to train with and glibc's own ones.
_MALLOPT = {-1: (1 << 30, 128 << 10), -2: (256 << 20, 0), -4: (0, 1 << 16)}  # trim, top pad, mmaps


@contextmanager
def freed_memory_kept() -> Iterator[None]:
    """Let the process keep what a step frees, because the next step wants just as much.

    By default glibc gives blocks of megabytes back to the system at once, and each activation
    of each step is mapped and zeroed anew: up to a third of a convolutional step on a CPU (see
    tests/benchmarks). Does nothing where the C library is another one.
    """
    import ctypes
    import platform

    if platform.libc_ver()[0] != "glibc":
        yield
        return
    c = ctypes.CDLL(None)
    for parameter, (training, _) in _MALLOPT.items():
        c.mallopt(parameter, training)
    try:
        yield
    finally:
        for parameter, (_, default) in _MALLOPT.items():
            c.mallopt(parameter, default)
        c.malloc_trim(0)


# --- where it runs -------------------------------------------------------------------------


def find_device(name: str = "auto") -> torch.device:
    """Return the device of a name; "auto" prefers a GPU.

    Raises
    ------
    TrainingError
        Naming what this machine has.
    """
    here = {
        "cuda": torch.cuda.is_available(),
        "mps": torch.backends.mps.is_available(),
        "cpu": True,
    }
    known = [device for device, available in here.items() if available]
    if name not in ("auto", *known):
        raise TrainingError(f"device={name!r}: choose one of auto, {', '.join(known)}")
    return torch.device(known[0] if name == "auto" else name)


@dataclass(frozen=True)
class _OneDevice:
    """What `fit` asks of a Fabric, for one device in single precision.

    Importing Fabric takes three times as long as importing PyTorch.
    """

    device: torch.device
    global_rank: int = 0
    world_size: int = 1

    def setup(self, *parts: Any) -> tuple:
        return parts

    def backward(self, loss: Tensor) -> None:
        loss.backward()

    def clip_gradients(self, model: nn.Module, optimizer: Optimizer, max_norm: float) -> None:
        nn.utils.clip_grad_norm_(model.parameters(), max_norm, error_if_nonfinite=True)


def _fabric(device: str, precision: Precision) -> "Fabric | _OneDevice":
    """Return a Fabric on one device, or what does the same in single precision."""
    place = find_device(device)
    if precision == "32-true":
        return _OneDevice(place)
    from lightning.fabric import Fabric

    fabric = Fabric(accelerator=place.type, devices=1, precision=precision)
    fabric.launch()
    return fabric


# --- optimiser, learning rate, batches, loss -----------------------------------------------


def _optimizer(model: nn.Module, recipe: TrainingRecipe, fused: bool) -> Optimizer:
    options: dict[str, Any] = {"lr": recipe.lr, "weight_decay": recipe.weight_decay, "fused": fused}
    if recipe.optimizer == "sgd":
        return torch.optim.SGD(model.parameters(), momentum=0.9, nesterov=True, **options)
    adam = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW}[recipe.optimizer]
    return adam(model.parameters(), betas=recipe.betas, eps=recipe.eps, **options)


class _Schedule:
    """How the learning rate moves: with each step, with each epoch, or not at all.

    Parameters
    ----------
    steps
        Steps of one epoch.
    """

    def __init__(self, optimizer: Optimizer, recipe: TrainingRecipe, steps: int):
        self.name = recipe.scheduler
        kinds = torch.optim.lr_scheduler
        total = recipe.max_epochs * steps
        choices: dict[str | None, tuple[Any, dict[str, Any]]] = {
            "cosine": (kinds.CosineAnnealingLR, {"T_max": recipe.max_epochs}),
            "plateau": (kinds.ReduceLROnPlateau, {}),
            "onecycle": (kinds.OneCycleLR, {"max_lr": recipe.lr, "total_steps": total}),
        }
        kind, own = choices.get(self.name, (None, {}))
        options = own | dict(recipe.scheduler_options)
        self.scheduler: Any = kind(optimizer, **options) if kind else None

    def after_step(self) -> None:
        if self.name == "onecycle":
            self.scheduler.step()

    def after_epoch(self, valid_loss: float) -> None:
        if self.name == "plateau":
            self.scheduler.step(valid_loss)
        elif self.name == "cosine":
            self.scheduler.step()


def batches(n: int, batch_size: int, generator: torch.Generator) -> list[Tensor]:
    """Shuffle `n` rows into batches; a last batch of one row joins the one before it."""
    parts = list(torch.randperm(n, generator=generator).split(batch_size))
    if len(parts) > 1 and len(parts[-1]) == 1:
        parts[-2:] = [torch.cat(parts[-2:])]
    return parts


def balanced_weights(labels: Tensor, n_classes: int) -> Tensor:
    """Return n / (classes · count) for each class, and 0 for a class without samples."""
    counts = torch.bincount(labels, minlength=n_classes).float()
    present = (counts > 0).sum()
    return torch.where(counts > 0, len(labels) / (present * counts.clamp(min=1)), 0.0)


def _mix(inputs: Inputs, labels: Tensor, alpha: float) -> tuple[Inputs, Tensor, float]:
    """Blend every sample with another one of the batch (mixup, Zhang et al. 2018)."""
    share = float(torch.distributions.Beta(alpha, alpha).sample())
    other = torch.randperm(len(labels)).to(labels.device)
    for name, values in inputs.items():
        if not values.is_floating_point():
            raise TrainingError(
                f"mixup cannot blend {name!r} ({values.dtype}): set mixup=0 in the recipe, or "
                "turn the input into floats in prepare()"
            )
    mixed = {name: share * values + (1 - share) * values[other] for name, values in inputs.items()}
    return mixed, labels[other], share


def _unchanged(inputs: Inputs, generator: torch.Generator | None) -> Inputs:
    """Leave a batch as it is: what `prepare` and `augment` do when none is given."""
    return inputs


# --- the loop ------------------------------------------------------------------------------


def fit(
    model: nn.Module,
    train: Samples,
    valid: Samples,
    recipe: TrainingRecipe,
    *,
    seed: int = 0,
    checkpoint: Path | str | None = None,
    augment: Augment | None = None,
    prepare: Prepare | None = None,
    device: str = "auto",
    progress: bool = True,
    fabric: "Fabric | None" = None,
) -> Fit:
    """Train `model` on `train`, stopping and choosing the best epoch on `valid`.

    Parameters
    ----------
    model
        Called with the inputs by name; returns logits (B, n_classes). Trained in place.
    train, valid
        Rows as they are stored (``uint8`` images, say); moved to the device once.
    recipe
        Optimiser, schedule, stopping rule and loss.
    seed
        Seeds dropout, shuffling and augmentation. (Seed the initial weights yourself:
        ``seed_everything(seed)`` before the model is built.)
    checkpoint
        File to keep the whole state in. If it exists, training goes on from there and ends
        with the same weights as an undisturbed run; a finished one returns at once.
    prepare
        ``prepare(inputs, generator)`` turns a stored batch into model inputs; the generator
        is None outside training.
    augment
        ``augment(inputs, generator)`` changes prepared training batches only.
    device
        "auto", "cpu", "cuda" or "mps".
    progress
        Show a bar over epochs.
    fabric
        A launched Fabric of your own, e.g. for several GPUs: each process then takes its share
        of every batch.

    Raises
    ------
    TrainingError
        A device that is not here, a seed that is none, empty data, labels outside the model's
        classes, a loss that is not finite, or a checkpoint that belongs to another run.
    TrainingInterrupted
        After Ctrl-C; says how to go on.
    """
    seed_everything(seed)
    place = fabric or _fabric(device, recipe.precision)
    loop = _Loop(
        place, model, train, valid, recipe, seed, prepare or _unchanged, augment or _unchanged
    )
    keeper = _Keeper(checkpoint, loop)
    keeper.restore()
    state = loop.state
    bar = tqdm(
        total=recipe.max_epochs,
        initial=state.epoch,
        desc=f"training, seed {seed}",
        unit="epoch",
        disable=not progress or place.global_rank > 0,
    )
    try:
        with bar, deterministic(), freed_memory_kept():
            while not state.finished:
                measured = loop.epoch()
                state.enter(measured, model, recipe)
                keeper.keep()
                losses = {part: f"{measured[f'{part}_loss']:.3f}" for part in ("train", "valid")}
                bar.set_postfix(**losses, best=state.best_epoch, refresh=False)
                bar.update()
    except KeyboardInterrupt:
        raise TrainingInterrupted(
            f"training stopped in epoch {state.epoch + 1}: {keeper.how_to_resume()}"
        ) from None
    if recipe.restore_best and state.best_weights is not None:
        model.load_state_dict(state.best_weights)
    model.eval()
    history = pd.DataFrame(state.history)
    return Fit(model, history, state.best_epoch, float(history["seconds"].sum()))


@dataclass
class _Loop:
    """One run: what its epochs work with, and what a checkpoint keeps of it."""

    fabric: "Fabric | _OneDevice"
    model: nn.Module
    train: Samples
    valid: Samples
    recipe: TrainingRecipe
    seed: int
    prepare: Prepare
    augment: Augment

    def __post_init__(self) -> None:
        """Bring everything to the device, and make what a run starts with."""
        recipe, device = self.recipe, self.fabric.device
        # Channels-last weights make 2D convolutions 1.7 times as fast on CPUs (see
        # tests/benchmarks); one-dimensional layers are untouched.
        self.model.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.train, self.valid = self.train.to(device), self.valid.to(device)
        self.n_classes = self._count_classes()
        self.weight = (
            balanced_weights(self.train.labels, self.n_classes) if recipe.class_weights else None
        )
        self.shuffle = torch.Generator().manual_seed(self.seed)
        self.noise = torch.Generator(device=device).manual_seed(self.seed + 1)
        self.state = _State()
        fused = device.type in ("cpu", "cuda") and recipe.precision != "16-mixed"
        optimizer = _optimizer(self.model, recipe, fused)
        steps = len(batches(len(self.train), recipe.batch_size, torch.Generator()))
        self.schedule = _Schedule(optimizer, recipe, steps)
        self.network, self.optimizer = self.fabric.setup(self.model, optimizer)

    def _count_classes(self) -> int:
        """Return how many classes the model tells apart, and check the labels against it."""
        if not len(self.train) or not len(self.valid):
            raise TrainingError(
                f"{len(self.train)} training and {len(self.valid)} validation rows: both are "
                "needed; check the split against the manifest (problems.csv lists clips that "
                "were left out)"
            )
        first = self.train.take(range(min(2, len(self.train))))
        n_classes = _logits(self.model, first, 2, self.prepare).shape[-1]
        for part, samples in (("training", self.train), ("validation", self.valid)):
            low, high = int(samples.labels.min()), int(samples.labels.max())
            if low < 0 or high >= n_classes:
                raise TrainingError(
                    f"{part} labels run from {low} to {high} but the model tells {n_classes} "
                    f"classes apart: labels must lie in 0…{n_classes - 1}; build the model with "
                    "n_classes of this corpus"
                )
        return n_classes

    def epoch(self) -> dict[str, float]:
        """Pass once over the training rows, then measure; return a row of the history."""
        started = time.perf_counter()
        measured = {"epoch": self.state.epoch + 1, **self._train(), **self._validate()}
        self.schedule.after_epoch(measured["valid_loss"])
        return measured | {"lr": self._lr(), "seconds": time.perf_counter() - started}

    def _lr(self) -> float:
        return self.optimizer.param_groups[0]["lr"]

    def _train(self) -> dict[str, float]:
        """Pass once over the training rows; return mean loss and accuracy."""
        self.network.train()
        losses, hits, seen = 0.0, 0, 0
        parts = batches(len(self.train), self.recipe.batch_size, self.shuffle)
        for number, rows in enumerate(parts, start=1):
            batch = self.train.take(rows[self.fabric.global_rank :: self.fabric.world_size])
            logits, loss = self._forward(batch)
            value = loss.item()
            if not math.isfinite(value):
                raise TrainingError(
                    f"the loss is {value} in epoch {self.state.epoch + 1}, batch {number}: lower "
                    f"lr (now {self._lr():g}), set clip_norm=1.0 in the recipe, and check "
                    "the features for values that are not finite"
                )
            self._step(loss)
            losses += value * len(batch)
            hits += int((logits.argmax(1) == batch.labels).sum())
            seen += len(batch)
        return {"train_loss": losses / seen, "train_accuracy": hits / seen}

    def _forward(self, batch: Samples) -> tuple[Tensor, Tensor]:
        """Return the logits (B, C) of an augmented batch and their loss."""
        inputs = self.augment(self.prepare(batch.inputs, self.noise), self.noise)
        criterion = partial(
            F.cross_entropy, weight=self.weight, label_smoothing=self.recipe.label_smoothing
        )
        if not self.recipe.mixup:
            logits = self.network(**inputs)
            return logits, criterion(logits, batch.labels)
        inputs, partner, share = _mix(inputs, batch.labels, self.recipe.mixup)
        logits = self.network(**inputs)
        mixed = share * criterion(logits, batch.labels) + (1 - share) * criterion(logits, partner)
        return logits, mixed

    def _step(self, loss: Tensor) -> None:
        """Move the weights against the gradient of the loss."""
        self.optimizer.zero_grad()
        self.fabric.backward(loss)
        if self.recipe.clip_norm is not None:
            self.fabric.clip_gradients(self.network, self.optimizer, max_norm=self.recipe.clip_norm)
        self.optimizer.step()
        self.schedule.after_step()

    def _validate(self) -> dict[str, float]:
        """Return loss, accuracy and unweighted average recall on the validation rows."""
        labels = self.valid.labels
        logits = _logits(self.network, self.valid, self.recipe.batch_size, self.prepare)
        hits = logits.argmax(1) == labels
        support = torch.bincount(labels, minlength=self.n_classes)
        recalled = torch.bincount(labels[hits], minlength=self.n_classes)
        present = support > 0
        return {
            "valid_loss": F.cross_entropy(logits, labels).item(),
            "valid_accuracy": hits.double().mean().item(),
            "valid_uar": (recalled[present] / support[present]).double().mean().item(),
        }

    def fingerprint(self) -> str:
        """Return a hash of what a checkpoint must share with the run that goes on from it."""
        parts = [type(self.model).__name__, self.recipe.digest(), str(self.seed)]
        parts += [f"{name}{tuple(value.shape)}" for name, value in self.model.state_dict().items()]
        for samples in (self.train, self.valid):
            parts.append(hashlib.sha256(samples.labels.cpu().numpy().tobytes()).hexdigest())
            parts += [f"{name}{tuple(value.shape)}" for name, value in samples.inputs.items()]
        return hashlib.sha256("\n".join(parts).encode()).hexdigest()

    def state_dict(self) -> dict[str, Any]:
        """Return everything that another process needs to go on."""
        scheduler = self.schedule.scheduler
        return {
            "state": vars(self.state),
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "scheduler": scheduler.state_dict() if scheduler else None,
            "random": _random_states((self.shuffle, self.noise)),
        }

    def load_state_dict(self, kept: Mapping[str, Any]) -> None:
        """Go on where `state_dict` was taken."""
        vars(self.state).update(kept["state"])
        self.model.load_state_dict(kept["model"])
        self.optimizer.load_state_dict(kept["optimizer"])
        if self.schedule.scheduler:
            self.schedule.scheduler.load_state_dict(kept["scheduler"])
        _set_random_states(kept["random"], (self.shuffle, self.noise))


def _logits(model: nn.Module, samples: Samples, batch_size: int, prepare: Prepare) -> Tensor:
    """Return the logits (N, C) of all rows in order."""
    model.eval()
    with torch.no_grad():
        parts = [
            model(**prepare(samples.take(rows).inputs, None))
            for rows in torch.arange(len(samples)).split(batch_size)
        ]
    return torch.cat(parts).float()


def predict(
    model: nn.Module, samples: Samples, *, batch_size: int = 512, prepare: Prepare | None = None
) -> np.ndarray:
    """Return class probabilities (N, C), float32, of all rows in order.

    The rows are moved batch by batch to wherever the model's parameters are.
    """
    if not len(samples):
        raise TrainingError("there are no rows to predict: check the split against the manifest")
    device = next(model.parameters()).device
    logits = _logits(model, samples.to(device), batch_size, prepare or _unchanged)
    return logits.softmax(dim=1).cpu().numpy()


# --- checkpoints ---------------------------------------------------------------------------


def _random_states(generators: tuple[torch.Generator, ...]) -> dict[str, Any]:
    """Return every random state as tensors and plain numbers (loadable with weights_only)."""
    numpy_state: Any = np.random.get_state()  # noqa: NPY002
    name, keys, *rest = numpy_state
    return {
        "python": random.getstate(),
        "numpy": (name, keys.tolist(), *rest),
        "torch": torch.get_rng_state(),
        "generators": [generator.get_state() for generator in generators],
        "cuda": torch.cuda.get_rng_state_all(),  # empty without a GPU
    }


def _set_random_states(states: Mapping[str, Any], generators: tuple[torch.Generator, ...]) -> None:
    random.setstate(states["python"])
    np.random.set_state(states["numpy"])  # noqa: NPY002
    torch.set_rng_state(states["torch"])
    for generator, saved in zip(generators, states["generators"], strict=True):
        generator.set_state(saved)
    if torch.cuda.is_available():
        torch.cuda.set_rng_state_all(states.get("cuda", ()))


class _Keeper:
    """Keeps the whole state of a run in one file, or does nothing when there is no file."""

    def __init__(self, path: Path | str | None, loop: _Loop):
        self.path = Path(path) if path else None
        self.loop = loop
        self.fingerprint = loop.fingerprint()
        self.kept_at = time.monotonic()

    def keep(self) -> None:
        """Write the state if the last one is old or the run has ended; once for all processes."""
        waited = time.monotonic() - self.kept_at
        due = self.loop.state.finished or waited >= CHECKPOINT_EVERY_SECONDS
        if self.path is None or not due or self.loop.fabric.global_rank:
            return
        with paths.atomic(self.path) as temporary:
            torch.save({"fingerprint": self.fingerprint, **self.loop.state_dict()}, temporary)
        self.kept_at = time.monotonic()

    def restore(self) -> None:
        """Bring back what the file holds, if there is one."""
        if self.path is None or not self.path.exists():
            return
        try:
            kept = torch.load(self.path, map_location="cpu", weights_only=True)
        except Exception as error:
            raise TrainingError(
                f"{self.path}: not a readable checkpoint ({type(error).__name__}); delete it to "
                "start over"
            ) from error
        if kept.get("fingerprint") != self.fingerprint:
            raise TrainingError(
                f"{self.path}: this checkpoint belongs to another run (model, recipe, seed or "
                "data differ); delete it, or give another checkpoint path"
            )
        self.loop.load_state_dict(kept)

    def how_to_resume(self) -> str:
        """Return a sentence for somebody who has just pressed Ctrl-C."""
        if self.path is None:
            return "nothing was kept; give fit(…, checkpoint=PATH) to be able to go on next time"
        if not self.path.exists():
            return f"{self.path} had not been written yet; run it again to start over"
        return f"the state is kept in {self.path}; run it again with the same arguments to go on"
