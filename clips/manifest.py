"""``manifest.json``: what training promises about a published model, and what the server checks before it loads one."""

from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

from clips.spec import ClipSpec

MANIFEST_FILE = "manifest.json"

ModelName = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9_-]{0,63}$")]
FileName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$")]
Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
Precision = Literal["fp32", "fp16", "int8"]
Quantisation = Literal["u8s8", "s8s8"]
"""Bytes of activations and of weights: ``u8s8`` for CPUs; ``s8s8``, with zero points of 0 throughout, for TensorRT."""
TaskName = Literal["single_label", "multi_label"]
"""Whether a video has one label, or any number of them."""


class _Record(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Variant(_Record):
    """One ONNX file of a model."""

    file: FileName
    precision: Precision
    sha256: Sha256
    size_bytes: int
    quantisation: Quantisation | None = None
    """INT8 alone; manifests of before it was written down have None there too, for ``u8s8``."""
    max_abs_difference: float
    """Largest difference of a probability against torch in fp32, over the clips of the parity check."""
    accuracy: float | None = None
    """Top-1 on the validation clips, 0 to 1, measured with this file; of a multi_label model the mean average precision."""
    accuracy_drop: float | None = None
    """The same of torch in fp32 minus that of this file, 0 to 1."""


class GoldenClip(_Record):
    """A small video and the probabilities it must give; the server asks for it before it calls itself ready."""

    file: FileName
    sha256: Sha256
    probabilities: dict[Precision, list[float]]
    """Expected output of each variant, in label order."""
    tolerance: dict[Precision, float]
    """Largest absolute difference of a probability that still passes; INT8 kernels differ between processors."""


class TrainingProvenance(_Record):
    """Where a model comes from."""

    dataset: str
    """Name of the folder or list of clips."""
    dataset_fingerprint: Sha256
    """SHA-256 over the sorted (path, label, group, split, content hash) of all clips."""
    train_clips: int
    val_clips: int
    preset: str
    configuration: dict[str, Any]
    """The resolved configuration, as in the run folder."""
    seed: int
    library_versions: dict[str, str]


class Manifest(_Record):
    """Everything a server needs to know about one version of a model."""

    schema_version: Literal[1] = 1
    name: ModelName
    version: int = Field(ge=1)
    task: TaskName = "single_label"
    labels: list[str] = Field(min_length=2)
    """In the order of the model's output."""
    clip_spec: ClipSpec
    variants: list[Variant] = Field(min_length=1)
    golden: GoldenClip
    metrics: dict[str, float]
    """Validation metrics of the torch model, by name."""
    thresholds: list[float] | None = None
    """multi_label alone: the probability from which a label counts, in label order."""
    training: TrainingProvenance
    licence: str
    created_at: datetime

    @model_validator(mode="after")
    def _consistent(self) -> "Manifest":
        if len(set(self.labels)) != len(self.labels):
            raise ValueError("labels must differ from each other")
        precisions = [variant.precision for variant in self.variants]
        if len(set(precisions)) != len(precisions):
            raise ValueError("a precision may occur once among the variants")
        for precision in precisions:
            if len(self.golden.probabilities.get(precision, ())) != len(self.labels) or precision not in self.golden.tolerance:
                raise ValueError(f"the golden clip needs {len(self.labels)} probabilities and a tolerance for {precision}")
        if (self.thresholds is not None) != (self.task == "multi_label"):
            raise ValueError("thresholds belong to multi_label models, and to them alone")
        if self.thresholds is not None and len(self.thresholds) != len(self.labels):
            raise ValueError("thresholds need one value for each label")
        return self

    def variant(self, precision: Precision) -> Variant | None:
        """The variant of this precision, if it was published."""
        return next((variant for variant in self.variants if variant.precision == precision), None)

    @classmethod
    def read(cls, version_folder: Path) -> "Manifest":
        """The manifest of ``models/<name>/<version>``.

        Raises: OSError: it cannot be read. pydantic.ValidationError: it does not follow the schema.
        """
        return cls.model_validate_json((version_folder / MANIFEST_FILE).read_bytes())

    def write(self, version_folder: Path) -> None:
        """Write the manifest into ``version_folder``."""
        (version_folder / MANIFEST_FILE).write_text(self.model_dump_json(indent=2) + "\n", encoding="utf-8")
