"""Every setting of a pre-training run, resolved before the first epoch and written to ``config.json``."""

from pydantic import BaseModel, ConfigDict, Field, model_validator

from clips import ClipSpec
from clips.manifest import ModelName
from training.architecture import Architecture, Backbone
from training.augment import Augmentation
from training.device import DeviceName, Precision


class PretrainConfig(BaseModel):
    """Each field is a flag of ``clipserve pretrain``."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    name: ModelName
    videos: str
    """Folder or CSV file, as given."""

    pictures: str = Field("", description="folder of other JPEG or PNG pictures, searched with its subfolders")
    weights: str = Field("imagenet", description="start from `imagenet`, `none`, a checkpoint file or a run folder")
    backbone: Backbone = Field("resnet50", description="what looks at each frame")
    seed: int = Field(0, ge=0, description="of the start weights, the order and the augmentation")

    epochs: int = Field(200, ge=1, description="passes over the videos and pictures")
    batch_size: int = Field(64, ge=2, description="videos and pictures per step, two clips of each")
    num_frames: int = Field(4, ge=1, le=64, description="frames of a clip")
    window: float = Field(0.5, gt=0, le=1, description="share of a video that a clip is drawn from")
    stored_frames: int = Field(24, ge=1, le=256, description="frames of each video that are decoded, to draw from")
    size: int = Field(128, ge=32, le=512, description="height and width of a frame, px")

    learning_rate: float = Field(1e-3, gt=0, description="highest, of AdamW")
    weight_decay: float = Field(1e-2, ge=0, description="not applied to biases and batch norm")
    warmup_epochs: float = Field(10.0, ge=0, description="epochs over which the learning rate rises to its peak")
    temperature: float = Field(
        0.1, gt=0, description="of the contrast: the lower, the more the most similar clips of other videos count"
    )
    projector_width: int = Field(256, ge=16, le=16384, description="numbers that clips are compared by")

    flip: bool = Field(True, description="mirror half of the clips")
    crop_scale_min: float = Field(0.2, gt=0, le=1, description="smallest area of a random crop")
    colour: float = Field(0.4, ge=0, lt=1, description="strength of random brightness, contrast and saturation")
    hue: float = Field(0.1, ge=0, le=0.5, description="colours turn by at most this share of the circle")
    grey: float = Field(0.2, ge=0, le=1, description="share of the clips that lose their colours")
    blur: float = Field(0.5, ge=0, le=1, description="share of the clips that lose their sharpness")

    probe: str = Field("", description="labelled clips (folder or CSV file) to try the features on with nearest neighbours")
    probe_epochs: int = Field(10, ge=1, description="epochs between two tries")

    precision: Precision = Field("auto", description="bf16 where the processor has it, fp16 on older GPUs")
    device: DeviceName = Field("auto", description="where to train")
    workers: int = Field(-1, ge=-1, description="processes that decode; 0 = in this one, -1 = one per core, 8 at most")

    @model_validator(mode="after")
    def _consistent(self) -> "PretrainConfig":
        if self.stored_frames < self.num_frames:
            raise ValueError(f"stored_frames {self.stored_frames} is less than the {self.num_frames} frames of a clip")
        if self.warmup_epochs >= self.epochs:
            raise ValueError(f"warmup_epochs {self.warmup_epochs:g} leaves nothing of {self.epochs} epochs; give fewer")
        return self

    @property
    def store_spec(self) -> ClipSpec:
        """What is decoded once per video: more frames than a clip has, and room for crops."""
        size = round(self.size * 1.15)
        return ClipSpec(num_frames=self.stored_frames, height=size, width=size, sampling="nearest_reference")

    @property
    def probe_spec(self) -> ClipSpec:
        """What the nearest neighbours are looked up by: twice as many frames as a clip has, over the whole video."""
        return ClipSpec(num_frames=min(64, 2 * self.num_frames), height=self.size, width=self.size)

    @property
    def augmentation(self) -> Augmentation:
        """What may change between the two clips of a video, beside their time."""
        return Augmentation(
            self.size, self.flip, self.crop_scale_min, self.colour, hue=self.hue, grey=self.grey, blur=self.blur
        )

    @property
    def architecture(self) -> Architecture:
        """The trunk that is trained; what is above it is not."""
        return Architecture(backbone=self.backbone)
