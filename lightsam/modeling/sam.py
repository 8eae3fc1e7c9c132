"""A light SAM: an image encoder, a prompt encoder and a mask decoder, and how images come to them."""

from torch import nn

from lightsam.errors import ContractError
from lightsam.geometry import Preprocess
from lightsam.modeling.graphs import DECODERS, EncoderModule
from lightsam.modeling.image_encoder import ImageEncoder
from lightsam.modeling.mask_decoder import BaseMaskDecoder
from lightsam.modeling.prompt_encoder import BasePromptEncoder
from lightsam.rules import Rules


class Sam(nn.Module):
    """A model as the sum of its parts, under the names that the published checkpoints use.

    The parts state what passes between the stages; lightsam.stages derives the contract from them. There is no
    ``forward``: a model is run as two graphs. One whose graphs take other tensors overrides `encoder_graph` or
    `decoder_graph`.
    """

    def __init__(
        self,
        image_encoder: ImageEncoder,
        prompt_encoder: BasePromptEncoder,
        mask_decoder: BaseMaskDecoder,
        preprocess: Preprocess,
    ) -> None:
        """Compose a model.

        Raises:
            ContractError: if the prompt encoder is for another image size than the preprocessing.
        """
        super().__init__()
        if prompt_encoder.image_size != preprocess.image_size:
            raise ContractError(
                f"a prompt encoder for images of {prompt_encoder.image_size} pixels does not fit a preprocessing to "
                f"{preprocess.image_size}: build both for one size"
            )
        self.image_encoder = image_encoder
        self.prompt_encoder = prompt_encoder
        self.mask_decoder = mask_decoder
        self.preprocess = preprocess

    @property
    def rules(self) -> Rules:
        """What a caller must know to use the two stages."""
        return Rules(self.preprocess, self.prompt_encoder.rules, self.mask_decoder.rules)

    @property
    def image_size(self) -> int:
        """S: side of the square input, in pixels."""
        return self.preprocess.image_size

    def encoder_graph(self) -> nn.Module:
        """The graph of the encoder stage; it shares the model's weights."""
        return EncoderModule(self.image_encoder, self.preprocess)

    def decoder_graph(self) -> nn.Module:
        """The graph of the decoder stage; it shares the model's weights.

        Raises:
            ContractError: if there is no graph with the inputs that the parts state.
        """
        maps, masks = len(self.image_encoder.feature_maps), self.prompt_encoder.rules.masks
        if (maps, masks) not in DECODERS:
            raise ContractError(
                f"there is no decoder graph for {maps} feature maps and a prompt encoder that takes "
                f"{'masks' if masks else 'no masks'}: add one to lightsam.modeling.graphs"
            )
        side = self.image_encoder.embeddings.side(self.image_size)
        return DECODERS[maps, masks](self.prompt_encoder, self.mask_decoder, side, self.preprocess)
