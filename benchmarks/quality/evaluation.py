"""What an evaluation asks: data, prompts, and the protocol that makes a number comparable to others'."""

from dataclasses import dataclass

from lightsam.errors import UsageError

from .places import Place

BOX, POINT, CLICKS = "box", "point", "clicks"
PROMPTS = (BOX, POINT, CLICKS)
COCO, MASKS, BSDS = "coco", "masks", "bsds"
KINDS = (COCO, MASKS, BSDS)
"""Forms of ground truth."""

SINGLE, BEST = "mask 0", "best predicted IoU of masks 1 to 3"
"""Which of a decoder's four masks is scored."""
TIGHT, ANNOTATED = "tight around the mask", "the annotation's own"
"""Where a box prompt comes from. Formats without boxes of their own always take the tight one."""
DEEPEST, RANDOM = "deepest error", "random error pixel"
"""Where a further click goes."""
IMAGE, THROUGH_MODEL = "image", "image, ground truth resampled through the model's input"
"""The resolution at which masks are compared."""
MAX_CLICKS = 20


@dataclass(frozen=True)
class Protocol:
    """Everything that changes a published number besides model and data."""

    name: str
    box_mask: str
    """Which mask answers a box."""
    point_mask: str
    """Which mask answers a lone point, which is also the first click."""
    clicks_mask: str
    """Which mask answers several clicks."""
    box_from: str
    crowds: bool
    """Whether COCO's crowd regions (``iscrowd``) are objects."""
    next_click: str
    mask_prompt: bool
    """Whether a further click is answered with the low-res mask of the answer before it as mask prompt."""
    resolution: str
    source: str
    """Where the protocol is defined."""


PROTOCOLS = {
    protocol.name: protocol
    for protocol in (
        Protocol(
            name="lightsam",
            box_mask=SINGLE,
            point_mask=BEST,
            clicks_mask=SINGLE,
            box_from=TIGHT,
            crowds=False,
            next_click=DEEPEST,
            mask_prompt=True,
            resolution=IMAGE,
            source="the masks that `lightsam predict` gives; clicks as in RITM, https://arxiv.org/abs/2102.06583",
        ),
        Protocol(
            name="efficientvit",
            box_mask=BEST,
            point_mask=BEST,
            clicks_mask=BEST,
            box_from=ANNOTATED,
            crowds=True,
            next_click=DEEPEST,
            mask_prompt=False,
            resolution=IMAGE,
            source="https://github.com/mit-han-lab/efficientvit, "
            "applications/efficientvit_sam/eval_efficientvit_sam_model.py",
        ),
        Protocol(
            name="edgesam",
            box_mask=SINGLE,
            point_mask=SINGLE,
            clicks_mask=SINGLE,
            box_from=ANNOTATED,
            crowds=False,
            next_click=RANDOM,
            mask_prompt=False,
            resolution=THROUGH_MODEL,
            source="https://github.com/chongzhou96/EdgeSAM, evaluation/eval_mIoU.py with its own defaults",
        ),
    )
}


@dataclass(frozen=True)
class Evaluation:
    """What is asked of every subject."""

    kind: str
    """Form of the ground truth: ``coco``, ``masks`` or ``bsds``."""
    truth: Place
    """The COCO JSON, or the folder of mask PNGs or ``.mat`` files."""
    images: Place
    """Folder of the images; a URL, as the truth, with COCO's JSON alone."""
    prompts: tuple[str, ...] = (BOX, POINT)
    clicks: int = 0
    """Clicks on each object; 0 for none."""
    limit: int | None = None
    """Images that are drawn by ``seed``; None for all."""
    seed: int = 0
    """Of the sample, of random clicks, and of the bootstrap."""
    protocol: str = "lightsam"
    annotator: str = "1"
    """Of BSDS500: a number from 1, or ``all``."""
    drop_empty: bool = False
    """Whether objects without a single pixel are left out, and counted, instead of refused."""

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise UsageError(f"there is no ground truth {self.kind!r}; choose from: {', '.join(KINDS)}")
        if self.protocol not in PROTOCOLS:
            raise UsageError(f"there is no protocol {self.protocol!r}; choose from: {', '.join(PROTOCOLS)}")
        for name in self.prompts:
            if name not in PROMPTS:
                raise UsageError(f"there is no prompt {name!r}; choose from: {', '.join(PROMPTS)}")
        if len(set(self.prompts)) < len(self.prompts):
            raise UsageError(f"a prompt is named twice: {', '.join(self.prompts)}")
        if not 0 <= self.clicks <= MAX_CLICKS:
            raise UsageError(f"--clicks is 1 to {MAX_CLICKS} clicks on an object, or 0 for none, not {self.clicks}")
        if CLICKS in self.prompts and not self.clicks:
            raise UsageError("the prompt 'clicks' needs a number of them: give --clicks N")
        if not self.settings:
            raise UsageError(f"no prompt is asked for; choose from: {', '.join(PROMPTS)}")
        if self.limit is not None and self.limit < 1:
            raise UsageError(f"--limit is 1 image at least, not {self.limit}")
        if self.seed < 0:
            raise UsageError(f"--seed is a whole number from 0 on, not {self.seed}")
        if self.annotator != "all" and not (self.annotator.isdecimal() and int(self.annotator) >= 1):
            raise UsageError(f"--annotator is a number from 1 on, or all, not {self.annotator!r}")

    @property
    def settings(self) -> tuple[str, ...]:
        """The prompts in a fixed order; a number of clicks asks for them."""
        return tuple(name for name in PROMPTS if name in self.prompts or (name == CLICKS and self.clicks))

    @property
    def rules(self) -> Protocol:
        """The protocol."""
        return PROTOCOLS[self.protocol]
