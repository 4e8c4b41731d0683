"""A roofline that a reader turns: board, network, batch and precision, drawn by the page itself.

Plain form controls, an inline drawing and a short script: no library, no network, any keyboard.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import jinja2
import numpy as np
import pandas as pd

from emolib import devices

TEMPLATE = Path(__file__).with_suffix(".html")
BATCHES = (1, 4, 16, 64)


@dataclass(frozen=True)
class Roofline:
    """Networks under the roofs of boards, as HTML to turn and as text where there is no page.

    Attributes
    ----------
    costs
        Name of a network → what one sample costs.
    boards
        As `devices.boards` gives them.
    chosen
        The network that is shown first; by default the first.
    """

    costs: Mapping[str, devices.Cost]
    boards: pd.DataFrame
    chosen: str = ""

    @cached_property
    def first(self) -> str:
        """What is shown before anything is turned, in a sentence."""
        name, sheet = self.chosen or next(iter(self.costs)), self.boards.iloc[:1].copy()
        for number in ("peak_gflops", "bandwidth_gb_s"):  # the data sheet's, if there is one
            sheet[number] = sheet[f"sheet_{number}"].fillna(sheet[number])
        sheet["balance"] = sheet["peak_gflops"] / sheet["bandwidth_gb_s"]
        row = devices.feasibility({name: self.costs[name]}, sheet).iloc[0]
        limit = {"memory": "the memory", "compute": "the processor"}[row["limit"]]
        between = (
            f"between {row['low_ms']:.3g} and {row['high_ms']:.3g} ms are to be expected"
            if np.isfinite(row["likely_ms"])
            else "no band is known for this board"
        )
        return (
            f"{name} on {row['board']}, FP32, one sample: {row['arithmetic_intensity']:.3g} FLOP a "
            f"byte, so {limit} is the limit; never below {row['bound_ms']:.3g} ms, and {between}."
        )

    def data(self) -> dict:
        """Return what the script draws from."""
        band = devices.band()
        fields = ["board", "kind", "peak_gflops", "bandwidth_gb_s", "int8_speedup"]
        sheet = ["sheet_peak_gflops", "sheet_bandwidth_gb_s"]
        boards = self.boards[[*fields, *sheet]].astype(object)
        return {
            "boards": boards.where(boards.notna(), None).to_dict("records"),
            "networks": [
                {
                    "name": name,
                    "flops": cost.flops,
                    "weights": cost.weight_bytes,
                    "activations": cost.activation_bytes,
                }
                for name, cost in self.costs.items()
            ],
            "band": {name: getattr(band, name) for name in ("compute", "memory", "factor")},
        }

    def _repr_html_(self) -> str:
        template = jinja2.Template(TEMPLATE.read_text(encoding="utf-8"), autoescape=True)
        # In a script "</" would end it.
        data = json.dumps(self.data()).replace("</", "<\\/")
        return template.render(
            data=data,
            first=self.first,
            chosen=self.chosen or next(iter(self.costs)),
            networks=[*self.costs],
            boards=self.boards["board"].tolist(),
            batches=BATCHES,
        )

    def __repr__(self) -> str:
        """Return the sentence."""
        return f"[figure: {self.first}]"
