"""What tests of the claims share."""

import os
from pathlib import Path

import pytest

from emolib import paths
from emolib.claims import Claim


@pytest.fixture
def no_results(monkeypatch, tmp_path):
    """No result is there, and no recording."""
    monkeypatch.setattr(paths, "RESULTS", tmp_path)
    monkeypatch.setenv("EMOLIB_DATA", str(tmp_path / "nothing"))


@pytest.fixture
def claim():
    """Make a claim of Ding's with the given check."""

    def make(check, published="97.57", **changes):
        fields = {
            "id": "ding-test-claim",
            "source": "Table II",
            "quantity": "accuracy",
            "unit": "%",
            "published": published,
            "protocol": "80/20",
            "needs": {"corpus": "ravdess", "modality": "audio"},
            "tolerance": 0.005,
            "why": "half a unit of the last printed digit",
            "check": check,
        }
        return Claim.model_validate(fields | changes)

    return make


@pytest.fixture
def papers():
    """The folder of the papers' texts beside the recordings, or skip."""
    folder = os.environ.get("EMOLIB_DATA")
    texts = Path(folder).resolve().parent / "papers" if folder else None
    if texts is None or not texts.is_dir():
        pytest.skip("needs the papers' texts: a folder 'papers' beside EMOLIB_DATA")
    return texts
