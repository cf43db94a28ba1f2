"""One file of the suite, and what must come of it."""

from dataclasses import dataclass

import numpy as np


@dataclass
class Case:
    """A file and its picture as the peers decode it."""

    # Name of the file; its extension is that of its format.
    name: str
    # Row of the closing table.
    kind: str
    data: bytes
    # Height x width x channels, 8 or 16 bit, alpha last and not premultiplied; None: no picture is known, only a refusal is right.
    expected: np.ndarray | None
    # Largest difference allowed, in steps of 8 bits.
    tolerance: float = 0
    # What must be said on standard error, as a regular expression.
    note: str | None = None
