"""What is published about small boards: their data sheets, what others measured, and latencies.

``data/devices.csv`` keeps three kinds of numbers apart: as a paper prints them, as the vendor's
data sheet gives them (with the arithmetic), and as somebody measured them.
"""

from pathlib import Path

import numpy as np
import pandas as pd

from emolib import paths
from emolib.errors import EmolibError

BOARDS = paths.DATA / "devices.csv"
LATENCIES = paths.DATA / "latencies.csv"


class DeviceError(EmolibError, ValueError):
    """A board is unknown, or a number that is asked for is not published."""


def boards(path: Path | None = None, *, every: bool = False) -> pd.DataFrame:
    """Return the boards that the papers name and how fast they claim to be.

    Parameters
    ----------
    path
        Another table of the same columns.
    every
        Also those that only published latencies name.

    Returns
    -------
    DataFrame
        ``board``, ``memory``, ``bandwidth_gb_s`` (GB/s), ``peak_gflops`` (FP32, GFLOP/s),
        ``provenance`` ("printed": as a paper prints it; "derived": from the vendor's data
        sheet by the arithmetic in ``source``), ``source``, and ``balance`` (FLOP/byte), the
        intensity above which the processor and no longer the memory is the limit. Lu et al.
        print this balance as "arithmetic intensity"; it is the board's, never the model's.
        Beside them the data sheet's ``sheet_peak_gflops`` and ``sheet_bandwidth_gb_s``, the
        ``measured_bandwidth_gb_s``, the nominal ``int8_speedup`` of one instruction, ``watts``,
        each with its source, the ``kind`` ("processor" or "GPU"), and its ``cores``.
    """
    table = pd.read_csv(path or BOARDS)
    table["balance"] = table["peak_gflops"] / table["bandwidth_gb_s"]
    return table if every else table[table["named"].notna()].reset_index(drop=True)


def board(name: str) -> pd.Series:
    """Return the row of one board.

    Raises
    ------
    DeviceError
        If there is none of that name.
    """
    table = boards(every=True).set_index("board")
    if name not in table.index:
        known = ", ".join(table.index)
        raise DeviceError(
            f"no board {name!r} in data/devices.csv: there are {known}; add its row with sources"
        )
    return table.loc[name]


def latencies(path: Path | None = None) -> pd.DataFrame:
    """Return published latencies of networks that can be counted.

    Returns
    -------
    DataFrame
        ``board``, ``threads``, ``network``, ``ms`` of one picture in FP32, its ``flops`` and
        ``bytes`` (weights and all layer outputs) by our count, ``source``, and what the data sheet
        gives so many threads: ``peak_gflops``, its share of the cores', and ``bandwidth_gb_s``.
    """
    table = pd.read_csv(path or LATENCIES)
    sheets = boards(every=True).set_index("board").loc[table["board"]]
    share = np.minimum(table["threads"].to_numpy() / sheets["cores"].to_numpy(), 1)
    return table.assign(
        peak_gflops=share * sheets["sheet_peak_gflops"].to_numpy(),
        bandwidth_gb_s=sheets["sheet_bandwidth_gb_s"].to_numpy(),
    )


def gaps(table: pd.DataFrame | None = None) -> pd.DataFrame:
    """Say in a line each what is not known about boards, why, and what would help.

    Returns
    -------
    DataFrame
        ``board``, ``number`` that is missing, and ``why`` with the remedy.
    """
    table = boards() if table is None else table
    asked = {
        "data sheet": (
            table["sheet_peak_gflops"].isna(),
            "its maker publishes neither cores nor clock: the numbers that a paper prints are "
            "taken; add the data sheet's to data/devices.csv",
        ),
        "time": (
            table["kind"] == "GPU",
            "the band was fitted on processors: run `emolib bench --json` on the board",
        ),
        "int8": (
            table["int8_speedup"].isna(),
            "no rate of eight-bit operations is published for it: run `emolib bench --json` there",
        ),
        "power": (
            table["watts"].isna(),
            "its power is not published: measure it at the plug and add it to data/devices.csv",
        ),
    }
    rows = [
        (name, number, why)
        for number, (missing, why) in asked.items()
        for name in table.loc[missing, "board"]
    ]
    return pd.DataFrame(rows, columns=["board", "number", "why"])
