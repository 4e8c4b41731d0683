"""Which pixels and which coefficients an answer rests on, and whether to believe the map.

First ask whether a network has `learned` anything; `published` ones have. `METHODS` attribute its
answers to its inputs: integrated gradients until they add up, occlusion, Grad-CAM, SmoothGrad.
Parts of a face and of a cepstrum sum the maps up, and tests say how far to trust them:
completeness, randomised parameters (Adebayo et al. 2018), deletion and insertion, and planted cues,
where the right answer is known.
"""

from emolib.explain.areas import (
    by_class,
    mean_and_interval,
    mfcc_halves,
    occlude,
    occlusion_test,
    region_scores,
    region_shares,
    regions_of,
)
from emolib.explain.chance import Learned, UnlearnedError, learned
from emolib.explain.methods import (
    COMPLETE,
    METHODS,
    Attribution,
    baseline,
    grad_cam,
    integrated_gradients,
    occlusion,
    smooth_grad,
)
from emolib.explain.networks import (
    Published,
    Shares,
    Tested,
    every_published,
    published,
    regions,
    tested,
)
from emolib.explain.trust import (
    agreement,
    deletion_and_insertion,
    deletion_curve,
    pointing_game,
    relevance_auc,
    relevance_mass,
    sanity_check,
)

__all__ = ["COMPLETE", "METHODS", "Attribution", "Learned", "Published", "Shares", "Tested"]
__all__ += ["UnlearnedError", "agreement", "baseline", "by_class", "deletion_and_insertion"]
__all__ += ["deletion_curve", "every_published", "grad_cam", "integrated_gradients", "learned"]
__all__ += ["mean_and_interval", "mfcc_halves", "occlude", "occlusion", "occlusion_test"]
__all__ += ["pointing_game", "published", "region_scores", "region_shares", "regions"]
__all__ += [
    "regions_of",
    "relevance_auc",
    "relevance_mass",
    "sanity_check",
    "smooth_grad",
    "tested",
]
