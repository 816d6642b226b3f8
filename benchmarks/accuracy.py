"""Accuracy of a published model as its users get it: every validation clip is POSTed to a running server.

The clips are those whose column `split` says val; their groups must not have been trained on.
"""

import argparse
from pathlib import Path

import httpx
from sklearn.metrics import classification_report, confusion_matrix
from tqdm import tqdm

from benchmarks.record import write_result
from benchmarks.serve import server
from benchmarks.videos import validation_rows


def main() -> None:
    """Measure, print and record."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.accuracy",
        description=__doc__,
        epilog="example: python -m benchmarks.accuracy exercise10/clips.csv",
    )
    parser.add_argument("clips", type=Path, help="CSV file with the columns path,label,group,split")
    parser.add_argument(
        "--model", type=Path, default=Path("models/exercise10/1"), help="published version (default: %(default)s)"
    )
    args = parser.parse_args()
    rows = validation_rows(args.clips)
    with server(args.model) as (port, _), httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60) as client:
        served = client.get("/models").json()["models"][0]
        answers = [classify(client, args.clips.parent / row["path"]) for row in tqdm(rows, unit="clip")]
    truth, top1 = [row["label"] for row in rows], [answer[0] for answer in answers]
    labels = served["labels"]
    correct = sum(a == b for a, b in zip(truth, top1, strict=True))
    print(classification_report(truth, top1, labels=labels, digits=3, zero_division=0))
    print(f"top-1: {correct} of {len(rows)}, {correct / len(rows):.1%}")
    write_result(
        "accuracy",
        {
            "model": {key: served[key] for key in ("name", "version", "precision", "execution_provider", "clip_spec")},
            "clips": len(rows),
            "groups": sorted({row["group"] for row in rows}),
            "top1": round(correct / len(rows), 4),
            "top5": round(sum(row["label"] in answer[:5] for row, answer in zip(rows, answers, strict=True)) / len(rows), 4),
            "per_class": classification_report(truth, top1, labels=labels, output_dict=True, zero_division=0),
            "confusion_matrix": confusion_matrix(truth, top1, labels=labels).tolist(),
            "answers": {row["path"]: answer[:2] for row, answer in zip(rows, answers, strict=True)},
        },
    )


def classify(client: httpx.Client, video: Path) -> list[str]:
    """All labels, most probable first."""
    with video.open("rb") as file:
        answer = client.post("/classify", params={"top_k": 0}, files={"file": file}).raise_for_status().json()
    return [prediction["label"] for prediction in answer["predictions"]]


if __name__ == "__main__":
    main()
