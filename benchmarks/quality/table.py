"""The table ``[evaluate]`` of a sweep's TOML file: what an evaluation asks, in the words of the command's options."""

from pathlib import Path

from msgspec import Struct

from lightsam.errors import UsageError

from .evaluation import KINDS, Evaluation
from .places import place


class EvaluateTable(Struct, frozen=True, forbid_unknown_fields=True):
    """Its keys: ``images``, one of ``coco``, ``masks`` and ``bsds``, and what differs from `Evaluation`'s defaults."""

    images: str
    """Folder of the images; with ``coco`` it may be a URL, as may that."""
    coco: str | None = None
    """Ground truth: a JSON file of COCO's annotations."""
    masks: str | None = None
    """Ground truth: a folder of mask PNGs."""
    bsds: str | None = None
    """Ground truth: a folder of BSDS500's ``.mat`` files."""
    prompts: tuple[str, ...] = Evaluation.prompts
    """``box``, ``point``, ``clicks``."""
    clicks: int = Evaluation.clicks
    """Clicks on each object; 0 for none."""
    limit: int | None = Evaluation.limit
    """Images that are drawn by the seed; all if it is left out."""
    seed: int = Evaluation.seed
    """Of the sample, of random clicks, and of the intervals."""
    protocol: str = Evaluation.protocol
    """Which mask is scored, which box, which clicks."""
    annotator: str = Evaluation.annotator
    """Of BSDS500: a number from 1, or ``all``."""
    drop_empty: bool = Evaluation.drop_empty
    """Whether objects without a pixel are left out instead of refused."""

    def evaluation(self, path: Path) -> Evaluation:
        """What the table asks.

        Args:
            path: of the sweep, for the message.

        Raises:
            UsageError: for a value that cannot be, or for no ground truth or several.
        """
        truths = {kind: getattr(self, kind) for kind in KINDS if getattr(self, kind) is not None}
        if len(truths) != 1:
            raise UsageError(f"the sweep {path} must say one of {', '.join(KINDS)} in [evaluate], for the ground truth")
        ((kind, truth),) = truths.items()
        return Evaluation(
            kind,
            place(truth),
            place(self.images),
            self.prompts,
            self.clicks,
            self.limit,
            self.seed,
            self.protocol,
            self.annotator,
            self.drop_empty,
        )
