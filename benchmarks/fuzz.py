"""Thousands of broken videos, POSTed to a server of its own: what it answers, and whether it is any the worse for it.

Each input has a number, which with the same seeds always gives the same input. Unless ``--start`` says otherwise, each day has
numbers of its own.
"""

import argparse
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

from tqdm import tqdm

from benchmarks.record import write_result
from tests.conftest import SHARED_DATA
from tests.robustness.fuzzing import Findings, fuzz, fuzzed_server
from tests.robustness.mutation import mutant
from tests.robustness.seeds import Seed, fingerprint, own_seeds, seeds_of_others

KEEP = Path("build/fuzz")


def main() -> None:
    """Send, print and record; exit code 1 where the server did what it must not."""
    args = arguments()
    seeds = own_seeds() + (seeds_of_others(args.others) if args.others else [])
    print(f"{len(seeds)} seeds ({fingerprint(seeds)}), inputs {args.start} to {args.start + args.count - 1}")
    if args.write:
        write_inputs(seeds, range(args.start, args.start + args.count), args.write)
        return
    started = time.perf_counter()
    findings, reached = send(seeds, range(args.start, args.start + args.count))
    show(findings)
    if findings.inputs < args.count:
        sys.exit(f"stopped; the rest: --start {reached} --count {args.start + args.count - reached}")
    write_result("fuzz", figures(args, seeds, findings, time.perf_counter() - started))
    sys.exit(1 if findings.faults else 0)


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.fuzz", description=__doc__)
    others = SHARED_DATA / "containers"
    parser.add_argument("--count", type=int, default=10_000, help="inputs (default: %(default)s)")
    parser.add_argument("--start", type=int, help="number of the first (default: the days since 1970, times the count)")
    parser.add_argument(
        "--others", type=Path, default=others if others.is_dir() else None, help="folder of test files of other projects"
    )
    parser.add_argument("--write", type=Path, metavar="FOLDER", help="write the inputs there and send nothing")
    args = parser.parse_args()
    if args.start is None:
        args.start = datetime.now(UTC).date().toordinal() * args.count
    return args


def write_inputs(seeds: list[Seed], numbers: range, folder: Path) -> None:
    """One file each, under its number, and what was done to it on the screen."""
    folder.mkdir(parents=True, exist_ok=True)
    for number in numbers:
        broken = mutant(seeds, number)
        (folder / str(number)).write_bytes(broken.data)
        print(number, broken.seed, *broken.steps, sep="; ")


def send(seeds: list[Seed], numbers: range) -> tuple[Findings, int]:
    """Findings, and the number of the first input that was not sent (Ctrl-C)."""
    findings = Findings()
    with (
        tempfile.TemporaryDirectory() as folder,
        fuzzed_server(Path(folder)) as live,
        tqdm(total=len(numbers), disable=None) as bar,
    ):
        try:
            for findings in fuzz(live, seeds, numbers, KEEP):
                bar.update(findings.inputs - bar.n)
                bar.set_postfix(faults=len(findings.faults), stopped=len(findings.stopped), refresh=False)
        except KeyboardInterrupt:
            print("interrupted")
    return findings, numbers.start + findings.inputs


def show(findings: Findings) -> None:
    """Counts, and what is wrong."""
    for answer, count in findings.answers.most_common():
        print(f"{count:7} {answer}")
    print("decode processes that ended:", findings.worker_deaths or "none")
    for fault in findings.faults:
        print(fault)
    if findings.faults or findings.stopped:
        print(f"these inputs are in {KEEP}")


def figures(args: argparse.Namespace, seeds: list[Seed], findings: Findings, seconds: float) -> dict[str, object]:
    """What is recorded."""
    return {
        "inputs": findings.inputs,
        "first": args.start,
        "seeds": [seed.name for seed in seeds],
        "fingerprint": fingerprint(seeds),
        "answers": dict(findings.answers.most_common()),
        "slowest_seconds": round(findings.slowest_seconds, 3),
        "peak_worker_mib": round(findings.peak_worker_bytes / 2**20),
        "worker_deaths": findings.worker_deaths,
        "stopped_by": findings.stopped,
        "faults": findings.faults,
        "seconds": round(seconds, 1),
    }


if __name__ == "__main__":
    main()
