"""Every setting of a training run, resolved before the first epoch and written to ``config.json``."""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from clips import ClipSpec
from clips.manifest import ModelName, TaskName
from training.architecture import Architecture, Backbone, Temporal
from training.augment import Augmentation
from training.device import DeviceName, Precision
from training.losses import LossName
from training.model import BatchNorm

NOT_THE_OUTCOME = {"device", "workers", "decode", "feature_cache", "tensorboard", "mlflow"}
"""Settings that decide nothing of what is learnt: they may change where a run goes on, and are not compared."""


class TrainingConfig(BaseModel):
    """Each field is a flag of ``clipserve train``. Defaults are the preset ``finetune``; ``presets.py`` has the others."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    name: ModelName
    dataset: str
    """Folder or CSV file, as given."""
    preset: Literal["finetune", "baseline", "probe"] = "finetune"

    task: TaskName = Field(
        "single_label",
        description="one label a clip; or any number of tags, such as wave|smile in the column `label` of a CSV file",
    )
    weights: str = Field("imagenet", description="start from `imagenet`, `none`, a checkpoint file or a run folder")
    seed: int = Field(0, ge=0, description="of the split, the start weights and the augmentation")
    val_fraction: float = Field(0.2, gt=0, le=0.5, description="share of the clips held back where the data gives no split")

    backbone: Backbone = Field("resnet50", description="what looks at each frame")
    temporal: Temporal = Field(
        "average",
        description="what makes one answer of several frames: `average` and `attention` are blind to their order; "
        "`shift` (TSM), `lstm` and `transformer` see it",
    )
    temporal_width: int = Field(512, ge=64, le=4096, multiple_of=64, description="of lstm and transformer")
    temporal_layers: int = Field(1, ge=1, le=8, description="of lstm and transformer")
    bidirectional: bool = Field(False, description="lstm reads the frames backwards too")

    num_frames: int = Field(8, ge=1, le=64, description="frames per clip, one from each of as many equal segments")
    size: int = Field(224, ge=32, le=512, description="height and width of a frame, px")
    fit: Literal["crop", "stretch"] = Field("crop", description="cut off what is not square, or squeeze it in")
    sampling: Literal["exact", "nearest_reference"] = Field(
        "nearest_reference",
        description="the nearest frame that is cheap to decode, at most half a segment away; or the one on screen at each time",
    )

    batch_size: int = Field(16, ge=1, description="clips per step, of all processes together")
    epochs: int = Field(20, ge=0, description="passes over the clips that train the deeper layers (and the head)")
    patience: int = Field(6, ge=0, description="stop after this many epochs without a better macro-F1 (tags: mAP); 0 = never")
    optimiser: Literal["sgd", "adamw"] = Field("sgd", description="of the main stage")
    learning_rate: float = Field(5e-3, gt=0, description="of the head in the main stage")
    stage_decay: float = Field(0.4, gt=0, le=1, description="learning rate of each deeper stage over that of the one above")
    frozen_stages: int = Field(2, ge=0, le=5, description="stages that stay as they are: stem, layer1 ... layer4")
    momentum: float = Field(0.9, ge=0, lt=1, description="of SGD")
    weight_decay: float = Field(5e-4, ge=0, description="not applied to biases and batch norm")
    schedule: Literal["cosine", "step", "constant"] = Field(
        "cosine", description="of the learning rate; `step` is a tenth after 40% and again after 80% of the epochs"
    )
    warmup_epochs: float = Field(1.0, ge=0, description="epochs over which the learning rate rises to its peak")
    gradient_clip: float = Field(5.0, ge=0, description="largest norm of the gradient; 0 = no limit")
    batch_norm: BatchNorm = Field(
        "frozen", description="statistics of batch norm: kept, kept but for the first layer (`partial`), or trained"
    )
    unfreeze_epochs: int = Field(
        0, ge=0, description="gradual unfreezing: one more stage every so many epochs, from the head down; 0 = all at once"
    )
    accumulate_steps: int = Field(1, ge=1, description="batches whose gradients make one step of the optimiser")
    ema_decay: float = Field(0.99, ge=0, lt=1, description="moving average of the weights, per step; 0 = off")

    head_epochs: int = Field(40, ge=0, description="epochs of the head alone, on stored features, before the main stage")
    head_learning_rate: float = Field(1e-3, gt=0, description="of the head alone (AdamW)")
    head_views: int = Field(3, ge=1, le=16, description="augmented views of each clip whose features are stored")
    feature_cache: str = Field(
        "", description="folder that keeps those features for other runs; it may be removed at any time; empty = none"
    )

    teacher: str = Field(
        "", description="checkpoint or run folder of a trained model to learn from, beside the labels (distillation)"
    )
    teacher_temperature: float = Field(4.0, gt=0, description="the higher, the more of its second thoughts count")
    teacher_weight: float = Field(0.5, ge=0, le=1, description="of its answers against that of the labels")
    teacher_feature_weight: float = Field(0.0, ge=0, description="of which clips it finds alike; 3000 in its paper")

    dropout: float = Field(0.5, ge=0, lt=1, description="before the head")
    label_smoothing: float = Field(
        0.1,
        ge=0,
        lt=1,
        description="probability taken from the label for all others; of tags, from yes for no and from no for yes",
    )
    loss: LossName = Field(
        "cross_entropy", description="what is made small (of tags, the binary form); `focal` looks away from what is easy"
    )
    focal_gamma: float = Field(2.0, ge=0, description="of the focal loss: the higher, the less an easy clip counts")
    balanced_sampling: bool = Field(False, description="draw every label equally often, in place of every clip once")
    class_balance: bool = Field(True, description="weigh classes by rarity where the largest has 1.5 times the smallest")

    flip: bool = Field(True, description="mirror half of the clips; turn off where left and right differ in label")
    crop_scale_min: float = Field(0.4, gt=0, le=1, description="smallest area of a random crop; 1 = no random crops")
    colour: float = Field(0.3, ge=0, lt=1, description="strength of random brightness, contrast and saturation")
    rand_augment: int = Field(0, ge=0, le=30, description="magnitude of two random operations on each clip; 0 = none")
    mixup: float = Field(0.0, ge=0, description="alpha of mixup, which blends clips and labels; 0 = off")
    cutmix: float = Field(0.0, ge=0, description="alpha of cutmix, which puts a part of one clip into another; 0 = off")
    frame_choices: int = Field(3, ge=1, le=8, description="frames stored per segment, one of which is drawn")

    precision: Precision = Field("auto", description="bf16 where the processor has it, fp16 on older GPUs")
    compile: bool = Field(False, description="let torch.compile make the network faster; costs minutes at the start")
    hours: float = Field(
        0.0, ge=0, description="time for all epochs; the learning rate then falls with the time that has passed; 0 = any"
    )
    tensorboard: bool = Field(False, description="record the epochs for TensorBoard too, in the run folder")
    mlflow: bool = Field(False, description="record the epochs with MLflow too, where MLFLOW_TRACKING_URI says")
    device: DeviceName = Field("auto", description="where to train")
    decode: Literal["once", "every_epoch"] = Field(
        "once",
        description="every clip once, onto the disk, before the first step; or again in each epoch, ahead of the steps, "
        "for more clips than the disk holds",
    )
    workers: int = Field(-1, ge=-1, description="processes that decode; 0 = in this one, -1 = one per core, 8 at most")

    @model_validator(mode="before")
    @classmethod
    def _as_it_was_called(cls, values: dict[str, Any]) -> dict[str, Any]:
        """Checkpoints of before ``batch_norm`` had three values."""
        if isinstance(values, dict) and "freeze_batch_norm" in values:
            values = dict(values)
            values["batch_norm"] = "frozen" if values.pop("freeze_batch_norm") else "trained"
        return values

    @property
    def clip_spec(self) -> ClipSpec:
        """What the model will see, in validation and in the server alike."""
        size = self.size
        return ClipSpec(num_frames=self.num_frames, height=size, width=size, fit=self.fit, sampling=self.sampling)

    @property
    def store_spec(self) -> ClipSpec:
        """What is decoded once per training clip: more frames to draw from, and room for crops."""
        size = self.size if self.crop_scale_min == 1 else round(self.size * 1.15)
        frames = self.num_frames * self.frame_choices
        return ClipSpec(num_frames=frames, height=size, width=size, fit=self.fit, sampling=self.sampling)

    @property
    def augmentation(self) -> Augmentation:
        """Of training clips."""
        return Augmentation(self.size, self.flip, self.crop_scale_min, self.colour, self.rand_augment)

    @property
    def architecture(self) -> Architecture:
        """The network."""
        return Architecture(
            backbone=self.backbone,
            temporal=self.temporal,
            width=self.temporal_width,
            layers=self.temporal_layers,
            bidirectional=self.bidirectional,
        )

    @property
    def total_epochs(self) -> int:
        """Epochs of both stages."""
        return self.head_epochs + self.epochs
