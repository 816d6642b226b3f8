"""How long a video takes to become a clip: ours against decord, torchcodec, OpenCV and PyAV, all on one thread of one core.

Everybody is asked for the same frames: the middles of eight equal segments at 224 x 224 px. The contestants take turns on each
video, each in a process of its own, so that a noisy machine troubles all alike; the ratio is taken video by video. Frames are
compared with those that decoding from front to back gives. `make peers-env` sets up the environment for it.
"""

import argparse
import os
import sys
from pathlib import Path
from typing import Any

from benchmarks.decoding import with_clips
from benchmarks.decoding.contestant import PEERS, Contestant
from benchmarks.decoding.figures import overall, set_figures
from benchmarks.decoding.generated import CACHE
from benchmarks.decoding.measure import measure
from benchmarks.decoding.plot import plot_ratios
from benchmarks.decoding.runner import CLOCKS, NotInstalled, Runner
from benchmarks.decoding.tables import contestant_table, remarks, summary_table, video_table
from benchmarks.decoding.video_sets import SETS, Folders, videos
from benchmarks.decoding.wanted import SPEC
from benchmarks.decoding.with_reference import REFERENCE
from benchmarks.record import RESULTS, write_result

_EXAMPLE = ".venv/peers/bin/python -m benchmarks.decode --exercise10 exercise10 --containers containers"
_READABLE_VIDEOS = 10


def main() -> None:
    """Measure, print and record."""
    args = _arguments()
    folders = Folders(args.exercise10, args.containers, args.generated)
    contestants = [*with_clips.NAMES, *(c for peer in args.peers for c in PEERS[peer])]
    *runners, reference = _started(contestants, args.core, args.clock)
    sets: dict[str, dict[str, Any]] = {}
    for name in args.sets:
        if folders.has(name):
            with videos(name, folders, args.count) as chosen:
                sets[name] = set_figures(measure(name, chosen, runners, reference, args.repeats), contestants)
        else:
            print(f"{name} is left out: no folder is given for it", file=sys.stderr)
    versions = {runner.contestant.name: runner.versions for runner in runners}
    for runner in (*runners, reference):
        runner.close()
    if sets:
        _report(
            sets, {"spec": SPEC.model_dump(), "threads": 1, "clock": args.clock, "repeats": args.repeats, "versions": versions}
        )


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.decode",
        description=__doc__,
        epilog=f"example: {_EXAMPLE}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--exercise10", type=Path, metavar="FOLDER", help="folder of short AVI clips")
    parser.add_argument("--containers", type=Path, metavar="FOLDER", help="folder of odd files; those over 1 s are taken")
    parser.add_argument(
        "--generated",
        type=Path,
        metavar="FOLDER",
        default=CACHE,
        help="generated videos of 1080p; made if missing (%(default)s)",
    )
    parser.add_argument("--sets", nargs="+", choices=SETS, default=SETS, help="sets to measure (default: all)")
    parser.add_argument(
        "--peers", nargs="+", choices=PEERS, default=list(PEERS), help="libraries to compare with (default: all)"
    )
    parser.add_argument(
        "--count", type=int, help="videos of each set at most, evenly spread (default: 60 of exercise10, all of the others)"
    )
    parser.add_argument("--repeats", type=int, default=3, help="rounds over all videos (default: %(default)s)")
    parser.add_argument(
        "--core", type=int, default=max(os.sched_getaffinity(0)), help="the core to run on (default: %(default)s)"
    )
    parser.add_argument(
        "--clock", choices=CLOCKS, default="wall", help="cpu: processor time, where other work goes on beside it"
    )
    return parser.parse_args()


def _started(contestants: list[Contestant], core: int, clock: str) -> list[Runner]:
    """A process for each, all on one core; then the reference, on all. Raises: SystemExit: a library is not installed."""
    try:
        return [*(Runner(contestant, core, clock) for contestant in contestants), Runner(REFERENCE)]
    except NotInstalled as problem:
        raise SystemExit(f"{problem}. Run make peers-env and use .venv/peers/bin/python, or choose --peers.") from None


def _report(sets: dict[str, dict[str, Any]], settings: dict[str, Any]) -> None:
    total = overall(sets)
    for name, figures in sets.items():
        print(contestant_table(name, figures), remarks(figures), sep="\n\n", end="\n\n")
        if len(figures["videos"]) <= _READABLE_VIDEOS:
            print(video_table(name, figures), end="\n\n")
    print(summary_table(sets, total), end="\n\n")
    write_result("decode", {**settings, "overall_against_the_fastest_right_peer": total, "sets": sets})
    plot_ratios(sets, RESULTS / "decode.png")


if __name__ == "__main__":
    main()
