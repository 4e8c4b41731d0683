"""The training loop keeps its promises: determinism, exact resume, clear errors."""

import os
import platform
import signal
import subprocess
import sys
import textwrap
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from emolib import paths, training
from emolib.training import Samples, TrainingError, TrainingRecipe, batches, fit, predict

CLASSES = 3


class Tiny(nn.Module):
    """A network with everything that has a state: batch norm, dropout, a 2D convolution."""

    def __init__(self, n_classes: int = CLASSES):
        super().__init__()
        self.picture = nn.Sequential(
            nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.AdaptiveAvgPool2d(2), nn.Flatten()
        )
        self.head = nn.Sequential(
            nn.Linear(16 + 5, 12), nn.BatchNorm1d(12), nn.ReLU(), nn.Dropout(0.3),
            nn.Linear(12, n_classes),
        )  # fmt: skip

    def forward(self, audio=None, video=None, text=None):
        return self.head(torch.cat([self.picture(video), audio], dim=1))


def samples(n: int = 97, seed: int = 0) -> Samples:
    """Sound and uint8 pictures from which the class can be learnt."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.arange(n) % CLASSES
    audio = torch.randn(n, 5, generator=generator)
    audio[torch.arange(n), labels] += 2
    video = torch.randint(0, 256, (n, 1, 8, 8), generator=generator, dtype=torch.uint8)
    return Samples({"audio": audio, "video": video}, labels)


def prepare(inputs, generator):
    return {**inputs, "video": inputs["video"].float() / 255}


def augment(inputs, generator):
    noise = torch.randn(inputs["audio"].shape, generator=generator, device=generator.device)
    return {**inputs, "audio": inputs["audio"] + 0.1 * noise}


RECIPE = TrainingRecipe(batch_size=16, max_epochs=6, lr=0.01)


def train(recipe=RECIPE, seed=0, n=97, model=None, **options):
    training.seed_everything(seed)
    return fit(
        model or Tiny(), samples(n), samples(30, seed=1), recipe,
        seed=seed, prepare=prepare, augment=augment, device="cpu", progress=False, **options,
    )  # fmt: skip


def weights(fitted) -> torch.Tensor:
    return torch.cat([value.flatten().double() for value in fitted.model.state_dict().values()])


NOT_TIME = [
    "epoch", "train_loss", "train_accuracy", "valid_loss", "valid_accuracy", "valid_uar", "lr",
]  # fmt: skip


def test_training_learns_what_can_be_learnt():
    fitted = train(replace(RECIPE, max_epochs=15))
    probabilities = predict(fitted.model, samples(60, seed=2), prepare=prepare)
    assert probabilities.shape == (60, CLASSES)
    np.testing.assert_allclose(probabilities.sum(1), 1, atol=1e-5)
    assert (probabilities.argmax(1) == np.arange(60) % CLASSES).mean() > 0.7
    assert fitted.history["train_loss"].iloc[-1] < 0.8 * fitted.history["train_loss"].iloc[0]


@pytest.mark.parametrize(
    "recipe",
    [
        RECIPE,
        replace(RECIPE, optimizer="adamw", scheduler="cosine", clip_norm=1.0, mixup=0.4),
        replace(RECIPE, optimizer="sgd", scheduler="onecycle", class_weights=True),
        replace(RECIPE, scheduler="plateau", scheduler_options=(("patience", 0),),
                label_smoothing=0.1),
    ],
    ids=["adam", "adamw-cosine-mixup", "sgd-onecycle", "plateau"],
)  # fmt: skip
def test_same_seed_gives_the_same_bits_and_another_seed_does_not(recipe):
    first, second = train(recipe), train(recipe)
    assert torch.equal(weights(first), weights(second))
    assert first.history[NOT_TIME].equals(second.history[NOT_TIME])
    assert not torch.equal(weights(first), weights(train(recipe, seed=1)))


def test_what_was_drawn_before_does_not_change_the_training():
    first = train()
    model = (training.seed_everything(0), Tiny())[1]
    torch.rand(7), np.random.rand(3)  # noqa: NPY002
    second = fit(
        model, samples(), samples(30, seed=1), RECIPE,
        prepare=prepare, augment=augment, device="cpu", progress=False,
    )  # fmt: skip
    assert torch.equal(weights(first), weights(second))


class _Killed(BaseException):
    pass


@pytest.mark.parametrize("scheduler", ["cosine", "onecycle", "plateau"])
@pytest.mark.parametrize("killed_after", [1, 4])
def test_a_killed_run_ends_with_the_weights_it_would_have_had(
    tmp_path, monkeypatch, scheduler, killed_after
):
    recipe = replace(RECIPE, scheduler=scheduler, patience=4, monitor="uar")
    undisturbed = train(recipe)
    monkeypatch.setattr(training, "CHECKPOINT_EVERY_SECONDS", 0.0)
    epoch = training._Loop.epoch

    def dying(loop):
        if loop.state.epoch == killed_after:
            loop._train()  # it dies halfway through an epoch
            raise _Killed
        return epoch(loop)

    monkeypatch.setattr(training._Loop, "epoch", dying)
    with pytest.raises(_Killed):
        train(recipe, checkpoint=tmp_path / "run.pt")
    monkeypatch.setattr(training._Loop, "epoch", epoch)
    resumed = train(recipe, checkpoint=tmp_path / "run.pt")
    assert torch.equal(weights(undisturbed), weights(resumed))
    assert undisturbed.history[NOT_TIME].equals(resumed.history[NOT_TIME])
    assert undisturbed.best_epoch == resumed.best_epoch
    again = train(recipe, checkpoint=tmp_path / "run.pt")  # finished: returns at once
    assert torch.equal(weights(again), weights(resumed))
    assert len(again.history) == len(resumed.history)


def test_a_process_killed_by_the_system_resumes_to_the_same_weights(tmp_path):
    """Nothing is tidied up by SIGKILL: only what lies on the disk survives."""
    script = textwrap.dedent(
        """
        import importlib.util, os, signal, sys
        import torch
        from emolib import training
        heavy = {"librosa", "cv2", "av", "captum", "matplotlib", "scipy"} & set(sys.modules)
        print("imported", sorted(heavy), flush=True)
        spec = importlib.util.spec_from_file_location("t", sys.argv[1])
        t = importlib.util.module_from_spec(spec); spec.loader.exec_module(t)
        torch.set_num_threads(1)
        training.CHECKPOINT_EVERY_SECONDS = 0.0
        keep = training._Keeper.keep
        def keep_then_die(self):
            keep(self)
            if self.loop.state.epoch == 3:
                slow = {"lightning", "torchvision"} & set(sys.modules)
                print("trained with", sorted(slow), flush=True)
                os.kill(os.getpid(), signal.SIGKILL)
        training._Keeper.keep = keep_then_die
        t.train(checkpoint=sys.argv[2])
        """
    )
    checkpoint = tmp_path / "run.pt"
    done = subprocess.run(
        [sys.executable, "-c", script, __file__, str(checkpoint)],
        env=os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(Path(__file__).parents[1])},
        capture_output=True,
    )
    assert done.returncode == -signal.SIGKILL, done.stderr.decode()
    assert done.stdout.decode() == "imported []\ntrained with []\n", "bare torch is enough"
    assert [file.name for file in tmp_path.iterdir()] == ["run.pt"]
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        assert torch.equal(weights(train(checkpoint=checkpoint)), weights(train()))
    finally:
        torch.set_num_threads(threads)


def test_ctrl_c_keeps_the_state_and_says_how_to_go_on(tmp_path, monkeypatch):
    monkeypatch.setattr(training, "CHECKPOINT_EVERY_SECONDS", 0.0)
    calls = []

    def interrupting(inputs, generator):
        calls.append(1)
        if len(calls) == 20:  # six batches an epoch
            raise KeyboardInterrupt
        return inputs

    def go(**options):
        training.seed_everything(0)
        return fit(
            Tiny(), samples(), samples(30, seed=1), RECIPE,
            prepare=prepare, device="cpu", progress=False, **options,
        )  # fmt: skip

    checkpoint = tmp_path / "run.pt"
    with pytest.raises(KeyboardInterrupt, match=r"epoch 4.*run\.pt.*same arguments"):
        go(checkpoint=checkpoint, augment=interrupting)
    assert torch.equal(weights(go(checkpoint=checkpoint)), weights(go()))
    calls.clear()
    with pytest.raises(KeyboardInterrupt, match="nothing was kept"):
        go(augment=interrupting)


def test_a_checkpoint_of_another_run_is_refused_and_a_broken_one_named(tmp_path):
    checkpoint = tmp_path / "run.pt"
    train(checkpoint=checkpoint)
    for change in ({"recipe": replace(RECIPE, lr=0.02)}, {"seed": 1}, {"n": 90}):
        with pytest.raises(TrainingError, match=r"run\.pt: .*another run"):
            train(**change, checkpoint=checkpoint)
    checkpoint.write_bytes(b"not a checkpoint")
    with pytest.raises(TrainingError, match=r"run\.pt: not a readable checkpoint.*delete it"):
        train(checkpoint=checkpoint)


def test_a_checkpoint_that_would_run_code_is_not_loaded(tmp_path):
    class Evil:
        def __reduce__(self):
            return (Path.touch, (tmp_path / "executed",))

    torch.save({"fingerprint": Evil()}, tmp_path / "run.pt")
    with pytest.raises(TrainingError, match="not a readable checkpoint"):
        train(checkpoint=tmp_path / "run.pt")
    assert not (tmp_path / "executed").exists()


def _stopping(values, **changes):
    """Run the stopping rule over given validation losses; return its state."""
    model = nn.Linear(1, 1)
    state, recipe = training._State(), replace(RECIPE, max_epochs=100, **changes)
    for epoch, value in enumerate(values, start=1):
        with torch.no_grad():
            model.weight.fill_(epoch)
        state.enter({"valid_loss": value}, model, recipe)
        if state.finished:
            break
    return state


def test_early_stopping_waits_for_patience_and_keeps_the_weights_of_the_best_epoch():
    # Ding et al.: less than 0.001 better for `patience` epochs, then back to before them.
    losses = [1.0, 0.9, 0.8995, 0.8991, 0.899, 0.5, 0.4]
    state = _stopping(losses, patience=3, min_delta=0.001)
    assert (state.epoch, state.best_epoch, state.finished) == (5, 2, True)
    assert float(state.best_weights["weight"]) == 2.0
    # Small steps that add up are an improvement over the best one, which stays where it was.
    creeping = [1.0 - 0.0006 * i for i in range(20)]
    assert not _stopping(creeping, patience=3, min_delta=0.001).finished
    assert not _stopping(losses, patience=4, min_delta=0.001).finished
    assert not _stopping(losses, patience=None).finished


@given(st.lists(st.floats(0, 10), min_size=1, max_size=30))
@settings(max_examples=50, deadline=None)
def test_without_min_delta_the_first_lowest_epoch_is_the_best(losses):
    assert _stopping(losses).best_epoch == int(np.argmin(losses)) + 1


def test_restored_weights_are_those_of_the_best_epoch():
    fitted = train(replace(RECIPE, lr=1.0, max_epochs=8))
    assert fitted.best_epoch == fitted.history["valid_loss"].argmin() + 1 < 8
    probabilities = predict(fitted.model, samples(30, seed=1), prepare=prepare)
    loss = -np.log(probabilities[np.arange(30), np.arange(30) % CLASSES]).mean()
    assert loss == pytest.approx(fitted.history["valid_loss"].min(), abs=1e-5)
    last = train(replace(RECIPE, lr=1.0, max_epochs=8, restore_best=False))
    assert not torch.equal(weights(last), weights(fitted))


@given(st.integers(1, 300), st.integers(1, 50), st.integers(0, 5))
@settings(max_examples=60, deadline=None)
def test_batches_hold_every_row_once_and_never_a_single_one(n, size, seed):
    parts = batches(n, size, torch.Generator().manual_seed(seed))
    assert sorted(torch.cat(parts).tolist()) == list(range(n))
    assert max(map(len, parts)) <= size + 1
    if n > 1 and size > 1:
        assert min(map(len, parts)) > 1


def test_batch_norm_survives_a_last_batch_of_one():
    assert len(train(n=33).history) == RECIPE.max_epochs  # 33 = 2 · 16 + 1


def test_a_loss_that_is_not_finite_names_epoch_and_batch():
    with pytest.raises(TrainingError, match=r"(nan|inf) in epoch \d+, batch \d+: lower lr"):
        train(replace(RECIPE, optimizer="sgd", lr=1e30))


def test_empty_parts_are_refused():
    empty = samples().take([])
    for parts in ((empty, samples()), (samples(), empty)):
        with pytest.raises(TrainingError, match=r"\b0 .*rows"):
            fit(Tiny(), *parts, RECIPE, prepare=prepare, device="cpu", progress=False)
    with pytest.raises(TrainingError, match="no rows to predict"):
        predict(Tiny(), empty)


def test_labels_the_model_has_no_class_for_are_refused():
    with pytest.raises(TrainingError, match="run from 0 to 2 but the model tells 2 classes apart"):
        train(model=Tiny(n_classes=2))


def test_inputs_of_another_length_than_the_labels_are_refused():
    with pytest.raises(TrainingError, match="'audio' has 4 rows but there are 5 labels"):
        Samples({"audio": torch.zeros(4, 2)}, torch.zeros(5, dtype=torch.long))


@pytest.mark.parametrize(
    ("wrong", "allowed"),
    [
        ({"optimizer": "adagrad"}, "optimizer='adagrad' .* 'adam', 'adamw' or 'sgd'"),
        ({"scheduler": "step"}, "scheduler='step' .* 'cosine', 'plateau' or 'onecycle'"),
        ({"precision": "8"}, "precision='8' .* '32-true'"),
        ({"lr": float("nan")}, "lr=nan .* should be a finite number"),
        ({"lr": -1e-3}, "lr=-0.001 .* greater than 0"),
        ({"lr": "fast"}, "lr='fast' .* a valid number"),
        ({"batch_size": 0}, "batch_size=0 .* greater than 0"),
        ({"batch_size": 2.5}, "batch_size=2.5 .* a valid integer"),
        ({"max_epochs": -3}, "max_epochs=-3 .* greater than 0"),
        ({"patience": 0}, "patience=0 .* greater than 0"),
        ({"label_smoothing": 1}, "label_smoothing=1 .* less than 1"),
        ({"betas": (0.9, 1.0)}, r"betas=\(0.9, 1.0\) .* less than 1"),
        ({"betas": 0.9}, "betas=0.9 .* tuple"),
    ],
    ids=lambda value: "" if isinstance(value, str) else str(value),
)
def test_a_recipe_that_nobody_could_follow_is_refused_with_what_is_allowed(wrong, allowed):
    with pytest.raises(TrainingError, match=allowed):
        TrainingRecipe(**wrong)


@pytest.mark.parametrize("seed", [-1, 2**32, 0.5, "0"])
def test_a_seed_that_is_none_is_refused(seed):
    with pytest.raises(TrainingError, match=f"seed={seed!r}: give a whole number from 0 to"):
        training.seed_everything(seed)


def test_a_device_that_is_not_here_is_refused_with_those_that_are():
    with pytest.raises(TrainingError, match=r"device='tpu': choose one of auto, .*cpu"):
        fit(Tiny(), samples(), samples(), RECIPE, prepare=prepare, device="tpu")
    assert training.find_device().type in ("cpu", "cuda", "mps")


@pytest.mark.filterwarnings("ignore::FutureWarning")
def test_a_fabric_of_ones_own_trains_to_the_same_weights():
    from lightning.fabric import Fabric

    recipe = replace(RECIPE, clip_norm=0.5, scheduler="onecycle")
    fabric = Fabric(accelerator="cpu", devices=1)
    fabric.launch()
    assert torch.equal(weights(train(recipe, fabric=fabric)), weights(train(recipe)))


@pytest.mark.filterwarnings("ignore::FutureWarning")
def test_mixed_precision_trains_too():
    history = train(replace(RECIPE, precision="bf16-mixed")).history
    assert history["train_loss"].iloc[-1] < history["train_loss"].iloc[0]


def test_recipe_digests_differ_exactly_when_recipes_do():
    assert RECIPE.digest() == replace(RECIPE).digest()
    recipes = [RECIPE, replace(RECIPE, lr=0.011), replace(RECIPE, patience=3), RECIPE.quick(2)]
    assert len({recipe.digest() for recipe in recipes}) == len(recipes)


def test_balanced_weights_give_every_class_the_same_say():
    labels = torch.tensor([0] * 8 + [2] * 2)
    weight = training.balanced_weights(labels, 4)
    assert weight.tolist() == [0.625, 0.0, 2.5, 0.0]
    assert float(weight[labels].sum()) == len(labels)


def test_mixup_refuses_token_ids():
    with pytest.raises(TrainingError, match="mixup cannot blend 'text'"):
        training._mix({"text": torch.zeros(2, 3, dtype=torch.long)}, torch.zeros(2), 0.2)


def test_settings_of_pytorch_are_left_as_they_were():
    before = torch.are_deterministic_algorithms_enabled()
    train(replace(RECIPE, max_epochs=1))
    assert torch.are_deterministic_algorithms_enabled() == before


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="another C library's allocator")
def test_training_does_not_ask_the_system_for_the_same_memory_again_and_again():
    # In a process of its own, because what others have freed can serve as well. Huge pages are
    # turned off (prctl's PR_SET_THP_DISABLE): with them, 512 pages come at a single fault.
    program = """
        import ctypes, resource, torch
        from emolib import training

        ctypes.CDLL(None).prctl(41, 1, 0, 0, 0)

        def page_faults(mebibytes):
            for _ in range(3):
                torch.ones(mebibytes << 18)  # more than glibc keeps by itself
            before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
            for _ in range(20):
                torch.ones(mebibytes << 18)
            return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

        usual = page_faults(40)
        with training.freed_memory_kept():
            kept = page_faults(40)
        # A larger block, because the heap may still have the last one to give.
        print(usual, kept, page_faults(80))
    """
    ran = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)],
        capture_output=True, text=True, check=True, cwd=paths.PROJECT,
    )  # fmt: skip
    usual, kept, given_back = map(int, ran.stdout.split())
    assert kept < usual / 4
    assert kept < given_back / 4
