"""How an edge map is made of masks: what the paper says, and a named choice for every step that it leaves open."""

from dataclasses import dataclass

from lightsam.errors import UsageError

OUTER, INNER, BOTH = "outer", "inner", "both"
BOUNDARIES = (OUTER, INNER, BOTH)
RIDGE, NONE = "ridge", "none"
SUPPRESSIONS = (RIDGE, NONE)


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """Segment Anything, appendix D.2 (https://arxiv.org/abs/2304.02643), with the authors' answer in
    https://github.com/facebookresearch/segment-anything/issues/226.

    The first two fields are the paper's. The others are ours: neither paper nor answer says them.
    """  # noqa: D205  # the title is the paper's, with its place

    points_per_side: int = 16
    """Of the grid over the image; each point gives three masks, and none is left out for its predicted IoU or its
    stability."""
    box_nms_thresh: float = 0.7
    """IoU of the boxes of two masks above which the one with the lower predicted IoU is dropped."""
    boundary: str = BOTH
    """Where a mask's gradient counts: ``outer``, pixels beside the mask; ``inner``, its own beside the background;
    ``both``."""
    border: int = 5
    """Pixels along the image's edge that are set to zero, "boundary zero padding"."""
    smoothing: float = 1.0
    """Standard deviation of the Gaussian over the edge map before it is thinned, in pixels; 0 for none."""
    nms: str = RIDGE
    """How the edge map is thinned: ``ridge``, only pixels stay that are as strong as both neighbours across the edge;
    ``none``."""

    def __post_init__(self) -> None:
        if self.points_per_side < 1:
            raise UsageError(f"the grid has 1 point a side at least, not {self.points_per_side}")
        if not 0 <= self.box_nms_thresh <= 1:
            raise UsageError(f"the threshold of box NMS is from 0 to 1, not {self.box_nms_thresh}")
        if self.boundary not in BOUNDARIES:
            raise UsageError(f"there is no boundary {self.boundary!r}; choose from: {', '.join(BOUNDARIES)}")
        if self.nms not in SUPPRESSIONS:
            raise UsageError(f"there is no edge NMS {self.nms!r}; choose from: {', '.join(SUPPRESSIONS)}")
        if self.border < 0:
            raise UsageError(f"--border is 0 pixels or more, not {self.border}")
        if not 0 <= self.smoothing <= 100:
            raise UsageError(f"--smoothing is a standard deviation from 0 to 100 pixels, not {self.smoothing}")
