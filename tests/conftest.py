"""Fixtures shared by all tests."""

import os
import shutil
from pathlib import Path

import pytest

from emolib import paths

MARKERS = (
    "realdata: needs the real recordings under EMOLIB_DATA (skipped without them)",
    "browser: drives headless Chromium",
    "benchmark: prints a measured ratio; run by `emolib bench`",
)


def pytest_configure(config):
    """Name the markers here, not in pyproject.toml: this file goes into the wheel."""
    for marker in MARKERS:
        config.addinivalue_line("markers", marker)


@pytest.fixture
def cache(tmp_path_factory, monkeypatch) -> Path:
    """An empty cache folder instead of the project's own."""
    folder = tmp_path_factory.mktemp("features")
    monkeypatch.setattr(paths, "FEATURES", folder)
    return folder


@pytest.fixture(scope="session")
def recordings() -> Path:
    """The folder of real recordings, or skip."""
    folder = os.environ.get("EMOLIB_DATA")
    if not folder or not Path(folder).is_dir():
        pytest.skip("needs real recordings: set EMOLIB_DATA to the folder that holds them")
    return Path(folder).resolve()


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    """A headless Chromium, or skip."""
    chromium = shutil.which("chromium")
    if not chromium:
        pytest.skip("needs chromium on the PATH")
    sync_api = pytest.importorskip("playwright.sync_api")
    with sync_api.sync_playwright() as playwright:
        started = playwright.chromium.launch(
            executable_path=chromium,
            args=["--no-sandbox", "--disable-background-networking"],
            env=os.environ | {"HOME": str(tmp_path_factory.mktemp("home"))},
        )
        yield started
        started.close()
