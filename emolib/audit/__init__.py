"""What a published table gives away about the experiment behind it.

A printed percentage is a fraction of whole clips that was rounded. Eight printed recalls,
precisions and F1-scores are eight fractions over the same confusion matrix. Such numbers
constrain each other so tightly that a table often reveals how many clips were tested, how many
of each class, and whether its average can be the average of its own rows. Everything here is
integer or rational arithmetic: a number called *impossible* is impossible under rounding
(half up or half even) and under truncation, not merely unlikely. Statements that rest on chance
(*this test set had 491 clips*) carry the probability that chance alone would say so.

The format of a table is described in :mod:`emolib.audit.tables`.
"""

from emolib.audit.findings import AuditReport, Finding
from emolib.audit.granularity import Difference, Granularity, count_of, difference, granularity
from emolib.audit.layers import count_layers
from emolib.audit.margins import Margins, TooCoarse, accuracy_bounds, margins
from emolib.audit.printed import AuditError, Printed, Window, agrees, evaluate
from emolib.audit.report import audit, paper, table
from emolib.audit.tables import PrintedTable

__all__ = ["AuditError", "AuditReport", "Difference", "Finding", "Granularity", "Margins"]
__all__ += ["Printed", "PrintedTable", "TooCoarse", "Window", "accuracy_bounds", "agrees", "audit"]
__all__ += ["count_layers", "count_of", "difference", "evaluate", "granularity", "margins"]
__all__ += ["paper", "table"]
