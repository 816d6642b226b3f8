"""``model_card.md``: what the model is, what it was trained on, how good it is, and where not to trust it.

Source: Mitchell et al., Model cards for model reporting, arXiv:1810.03993.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from clips import Manifest, Variant
from training.checkpoint import Origin
from training.latency import Benchmark
from training.latency_table import latency_section
from training.task import TASKS, AnyMetrics


def model_card(manifest: Manifest, origin: Origin, metrics: AnyMetrics, measured: Benchmark, notes: str = "") -> str:
    """Markdown. ``notes`` are the publisher's own words on data and licence."""
    spec, training, figure = manifest.clip_spec, manifest.training, TASKS[manifest.task].figure
    return f"""# {manifest.name}, version {manifest.version}

{_network(training.configuration)}, on {spec.num_frames} frames of {spec.height} x {spec.width} px;
{len(manifest.labels)} {"labels" if manifest.thresholds is None else "tags"}: {", ".join(manifest.labels)}.

## Data
- Data set: {origin.dataset}; {origin.train_clips} clips to train on, {origin.val_clips} to measure on.
- The clips to measure on come from {origin.val_groups} groups (person, place or recording) that were not trained on.
- Fingerprint of the data: `{origin.fingerprint}`.
- Start weights: {training.configuration.get("weights")}; preset `{training.preset}`, seed {training.seed};
  all settings are in `manifest.json`.
- Licence of the model: {manifest.licence}.
{notes and chr(10) + notes.strip() + chr(10)}
## Results on the validation clips
Torch in fp32: {metrics.words()}, over {metrics.clips} clips.

| file | size | {figure} | {figure} lost against torch | largest difference of a probability |
|---|---|---|---|---|
{_variant_rows(manifest.variants)}
{_int8_note(manifest)}
{_class_table(metrics)}
{latency_section(manifest.variants, measured)}
## Limits
{_LIMITS[manifest.task].format(clips=metrics.clips, points=100 / metrics.clips, labels=len(manifest.labels))}
- Frames come from the whole video; in a long video with a short action most of them miss it.
{_blindness(training.configuration)}- People, places and cameras unlike those of the data set make it worse.
"""


_LIMITS = {
    "single_label": """- The best epoch was chosen on these same {clips} clips, so the figures are a little optimistic;
  one clip is {points:.1f} points.
- The model knows these {labels} labels only and gives every video one of them, whatever it shows.""",
    "multi_label": """- The best epoch was chosen on these same {clips} clips and the thresholds were tuned on them, for the
  highest F1 of each tag, so the figures are a little optimistic, the more so for tags that few clips have.
- The model knows these {labels} tags only. A video that shows none of them may get none, and may get a wrong one.
- Each tag is decided by itself: nothing keeps tags apart that exclude each other.""",
}


def _network(configuration: Mapping[str, Any]) -> str:
    names = {"resnet18": "ResNet-18", "resnet34": "ResNet-34", "resnet50": "ResNet-50"}
    over_time = {
        "average": "features averaged over the frames",
        "attention": "features averaged over the frames with learnt weights",
        "shift": "with temporal shift, features averaged over the frames",
        "lstm": "with an LSTM over the frames",
        "transformer": "with a transformer encoder over the frames",
    }
    return f"{names[configuration.get('backbone', 'resnet50')]} {over_time[configuration.get('temporal', 'average')]}"


def _blindness(configuration: Mapping[str, Any]) -> str:
    if configuration.get("temporal", "average") not in {"average", "attention"}:
        return ""
    return "- Averaging over frames ignores their order: actions that differ only in direction in time look the same.\n"


def _variant_rows(variants: Sequence[Variant]) -> str:
    return "\n".join(
        f"| {v.precision} | {v.size_bytes / 1e6:.1f} MB | {v.accuracy:.1%} | {100 * (v.accuracy_drop or 0):.1f} points "
        f"| {v.max_abs_difference:.2g} |"
        for v in variants
    )


def _int8_note(manifest: Manifest) -> str:
    int8 = manifest.variant("int8")
    if int8 is None:
        return ""
    if int8.quantisation == "s8s8":
        return (
            "\nINT8 is made for TensorRT: signed activations and weights, all zero points 0 (S8S8). No TensorRT has run it:\n"
            "its figures are from a CPU, which computes such a file in floating point, slower than fp32.\n"
        )
    return "\nINT8 is made for CPUs: unsigned activations, signed weights of seven bits (U8S8).\n"


def _class_table(metrics: AnyMetrics) -> str:
    rows = [asdict(row) for row in metrics.per_class]
    header = [name.replace("_", " ").replace("f1", "F1") for name in rows[0]]
    cells = [[f"{value:.2f}" if isinstance(value, float) else str(value) for value in row.values()] for row in rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in (header, ["---"] * len(header), *cells))
