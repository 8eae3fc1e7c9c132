"""The result of an import."""

from dataclasses import dataclass

from torch import Tensor

from .proof import Agreement


@dataclass(frozen=True)
class Imported:
    """The weights of a model as two ONNX files hold them, and how far they were checked."""

    state: dict[str, Tensor]
    """The checkpoint, float32, without what no run of the model uses."""
    agreements: tuple[Agreement, ...]
    """How closely each output agrees with the files'."""
    convention: str
    """Layout and value range of the image that the encoder's file takes."""
    pads_points: bool
    """Whether the decoder's file puts padding points behind those of a prompt itself."""
    never_run: tuple[str, ...]
    """Keys of published checkpoints that are in no export, because nothing uses them."""
    lacking: tuple[str, ...]
    """Outputs that the model cannot give with this checkpoint, because what makes them is not in the files."""
    remarks: tuple[str, ...]
    """What a user should know of tensors that did not come back as they were."""
    constants: tuple[str, ...]
    """Constants of the files that nothing was taken from."""

    @property
    def worst_db(self) -> float:
        """PSNR of the output that agrees least."""
        return min(one.psnr_db for one in self.agreements)
