"""Every setting of a distillation, resolved before its first step and written to ``config.json``."""

from pydantic import BaseModel, ConfigDict, Field, model_validator

from clips.manifest import ModelName, TaskName
from training.architecture import Backbone
from training.device import DeviceName


class DistillConfig(BaseModel):
    """Each field is a flag of ``clipserve distill``."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    name: ModelName
    data: str
    """Folder or CSV file, as given."""

    task: TaskName = Field("single_label", description="what is in DATA")
    pictures: str = Field("", description="folder of other JPEG or PNG pictures, searched with its subfolders")
    backbone: Backbone = Field("resnet50", description="what is taught")
    seed: int = Field(0, ge=0, description="of the start weights and the views")

    views: int = Field(150_000, ge=1, description="random views of pictures to learn from")
    batch_size: int = Field(48, ge=2, description="views per step")
    frames_per_clip: int = Field(32, ge=1, le=256, description="frames of each clip that are decoded, to draw from")
    size: int = Field(128, ge=32, le=512, description="height and width of a view, px")
    early_size: int = Field(96, ge=32, le=512, description="the same in the first part of the run: small views are cheap")
    early_share: float = Field(0.6, ge=0, le=1, description="share of the views that belong to the first part")
    teacher_scale: float = Field(1.5, ge=1, le=4, description="how many times as large the teacher sees a view")

    learning_rate: float = Field(1e-3, gt=0, description="highest, of AdamW")
    weight_decay: float = Field(0.02, ge=0, description="not applied to biases and batch norm")
    warmup_views: int = Field(2_400, ge=0, description="views over which the learning rate rises to its peak")
    decay_from: float = Field(0.6, ge=0, lt=1, description="share of the views after which it falls in a line to a hundredth")

    device: DeviceName = Field("auto", description="where to train")

    @model_validator(mode="after")
    def _consistent(self) -> "DistillConfig":
        if self.warmup_views >= self.views:
            raise ValueError(f"warmup_views {self.warmup_views} leaves nothing of {self.views} views; give fewer")
        return self

    def student_px(self, seen: int) -> int:
        """Height and width of the views in the batch that begins after ``seen`` of them."""
        return self.early_size if seen < self.early_share * self.views else self.size

    def teacher_px(self, seen: int) -> int:
        """The same, as the teacher sees them."""
        return round(self.teacher_scale * self.student_px(seen))

    def rate(self, seen: int) -> float:
        """Learning rate at the batch that ends after ``seen`` views: warm-up, a plateau, and a line down to a hundredth."""
        rise = min(1.0, seen / self.warmup_views) if self.warmup_views else 1.0
        fall = max(0.0, (seen / self.views - self.decay_from) / (1 - self.decay_from))
        return self.learning_rate * rise * max(0.01, 1 - fall)
