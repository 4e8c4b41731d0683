"""Fixtures shared by all tests."""

import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def recordings() -> Path:
    """The folder of real recordings, or skip."""
    folder = os.environ.get("EMOLIB_DATA")
    if not folder or not Path(folder).is_dir():
        pytest.skip("needs real recordings: set EMOLIB_DATA to the folder that holds them")
    return Path(folder).resolve()
