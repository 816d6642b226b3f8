"""What the two sampling modes cost and give: a published model on labelled clips, decoded in one mode and in the other.

The model was trained in the mode of its manifest; the other one is foreign to it.
"""

import argparse
import time
from pathlib import Path
from statistics import median
from typing import Any, get_args

import numpy as np
import onnxruntime as ort
from tqdm import tqdm

from benchmarks.engine import session
from benchmarks.record import write_result
from benchmarks.videos import validation_rows
from clips import ClipSpec, Manifest, load_clip

MODES = get_args(ClipSpec.model_fields["sampling"].annotation)


def main() -> None:
    """Measure, print and record."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.sampling",
        description=__doc__,
        epilog="example: python -m benchmarks.sampling exercise10/clips.csv",
    )
    parser.add_argument("clips", type=Path, help="CSV file with the columns path,label,group,split; those of split val count")
    parser.add_argument(
        "--model", type=Path, default=Path("models/exercise10/1"), help="published version (default: %(default)s)"
    )
    args = parser.parse_args()
    manifest = Manifest.read(args.model)
    rows = validation_rows(args.clips)
    videos = [(args.clips.parent / row["path"]).read_bytes() for row in rows]
    truth = np.array([manifest.labels.index(row["label"]) for row in rows])
    model = session(args.model / manifest.variants[0].file, threads=1)
    figures = {mode: measure(model, videos, truth, manifest.clip_spec.model_copy(update={"sampling": mode})) for mode in MODES}
    first, second = (figures[mode].pop("top1") for mode in MODES)
    for mode, seen in figures.items():
        print(mode, seen)
    print(f"the same label for {(first == second).sum()} of {len(rows)}")
    write_result(
        "sampling",
        {
            "model": f"{manifest.name} {manifest.version}",
            "trained_with": manifest.clip_spec.sampling,
            "clips": len(rows),
            "same_label": int((first == second).sum()),
            "right_in_one_mode_alone": [
                int(((a == truth) & (b != truth)).sum()) for a, b in ((first, second), (second, first))
            ],
            "modes": figures,
        },
    )


def measure(model: ort.InferenceSession, videos: list[bytes], truth: np.ndarray[Any, Any], spec: ClipSpec) -> dict[str, Any]:
    """Accuracy, mean log likelihood of the true label, and processor time of decoding a clip."""
    seconds, rows = [], []
    for video in tqdm(videos, desc=spec.sampling, unit="clip"):
        start = time.process_time()
        clip = load_clip(video, spec)
        seconds.append(time.process_time() - start)
        rows.append(model.run(None, {"clips": clip.frames[None]})[0][0])
    probabilities = np.array(rows)
    top1 = probabilities.argmax(1)
    return {
        "right": int((top1 == truth).sum()),
        "log_likelihood": round(float(np.log(probabilities[np.arange(len(truth)), truth]).mean()), 4),
        "decode_cpu_ms_median": round(1000 * median(seconds), 3),
        "decode_cpu_ms_total": round(1000 * sum(seconds), 1),
        "top1": top1,
    }


if __name__ == "__main__":
    main()
