"""ClipServe beside LitServe, BentoML, Ray Serve, mosec and a plain FastAPI server, and beside the bare limit.

All run the same ONNX file with the same ONNX Runtime and get the same bytes. Tier `same`: all decode with our decoder. Tier
`own`: peers decode as their users do, on 1080p videos. Phases:

  configurations       each peer in the few arrangements that its documentation offers; later phases take its fastest
  saturation           closed loop of 16 clients, as a share of the bare limit; start-up time and idle memory
  latency              Poisson arrivals at 60% of the best peer's capacity, the same rate for all; beside them an ideal queue
  overload             2 and 3 times a server's own capacity, with its queue bounded where it can be
  overload_as_shipped  the same with the defaults of each

Each phase is written as soon as it is done; --only repeats some of them and keeps the others. The load generator shares the
cores with the servers, and its cost counts against them; the bare limit has no such neighbour.
"""

import argparse
import json
import signal
import sys
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from os import getloadavg, getpid, sched_getaffinity
from pathlib import Path
from statistics import median
from tempfile import gettempdir
from typing import Any

from benchmarks.peers.bare import Bare
from benchmarks.peers.contestants import CONTESTANTS, Configuration, versions
from benchmarks.peers.decoders import THEIRS
from benchmarks.peers.field import Field
from benchmarks.peers.full_hd_videos import SECONDS, full_hd_videos
from benchmarks.peers.overload import overload
from benchmarks.peers.phases import configurations, latency, saturation, say
from benchmarks.peers.plot import plot_tier
from benchmarks.peers.running import Launch
from benchmarks.peers.sampled_model import sampled_model
from benchmarks.peers.table import print_tier
from benchmarks.peers.task import Task, read_model
from benchmarks.record import RESULTS, command, write_result
from benchmarks.videos import read_videos

PHASES = ("configurations", "saturation", "latency", "overload", "overload_as_shipped")
MODEL = Path("models/exercise10/1")
DEFAULT_PHASES = ("saturation", "latency", "overload")


def main() -> None:
    """Measure, record, print; with another sampling, model or length of videos under a name of its own."""
    args = _arguments()
    with sampled_model(args.model, args.sampling) as model:
        _compare(args, model)


def _compare(args: argparse.Namespace, model: Path) -> None:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("stopped"))  # servers are ended on the way out
    recorded = _recorded()
    manifest, _ = read_model(str(model))
    other = [args.sampling] * (args.sampling is not None) + [manifest.name] * (args.model.resolve() != MODEL.resolve())
    other += [f"{args.video_seconds:g}s"] * (args.video_seconds != SECONDS)
    name = "_".join([args.tier, *other])
    tier = recorded["tiers"].setdefault(name, {})
    videos = (
        full_hd_videos(args.video_seconds) if args.tier == "own" and args.clips is None else read_videos(args.clips, args.count)
    )
    task = Task(str(model.resolve()), workers=len(sched_getaffinity(0)))
    if args.tier == "own":
        tier["decoders"] = tier.get("decoders") or _decoder_rates(task, args.python, videos)
        task = replace(task, decoder=max(tier["decoders"], key=tier["decoders"].__getitem__))
    with Bare(task, args.python, videos) as theirs, Bare(replace(task, decoder="clips"), args.python, videos) as bare:
        expected = {task.decoder: theirs.probabilities(), "clips": bare.probabilities()}
        chosen = [c for c in CONTESTANTS if c.name in args.servers]
        launch = Launch(args.python, videos[0], Path(gettempdir()) / f"peer-{getpid()}.log")
        field = Field(chosen, task, launch, videos, manifest.labels, expected)
        tier |= {"model": f"{manifest.name} {manifest.version}", "videos": len(videos), "decoder": task.decoder}
        for phase in (p for p in PHASES if p in args.only):
            field.chosen = _fastest_configurations(tier)
            say(f"{name}: {phase}")
            tier[phase] = _measured(phase, args, field, bare, tier) | _circumstances()
            write_result("peers", {"peers": versions(args.python), "tiers": recorded["tiers"]})
    print_tier(name, tier)
    if "saturation" in tier and "latency" in tier:
        plot_tier(name, tier, RESULTS / f"peers_{name}.png")


def _measured(phase: str, args: argparse.Namespace, field: Field, bare: Bare, tier: dict[str, Any]) -> dict[str, Any]:
    if phase == "configurations":
        return {"servers": configurations(field, args.rounds, args.seconds)}
    if phase == "saturation":
        return saturation(field, bare, args.rounds, args.seconds)
    if "saturation" not in tier:
        raise SystemExit(f"{phase} needs the capacities of the phase saturation, which is not recorded")
    capacities = {name: row["median_clips_per_second"] for name, row in tier["saturation"]["servers"].items()}
    if phase == "latency":
        limit = median(tier["saturation"]["bare"]["clips_per_second"])
        return latency(field, capacities, limit, args.rounds, 2 * args.seconds)
    return overload(field, capacities, 2 * args.seconds, protected=phase == "overload")


def _fastest_configurations(tier: dict[str, Any]) -> dict[str, Configuration]:
    """What the phase ``configurations`` found; a contestant that it lacks keeps its first."""
    chosen = {}
    for contestant in CONTESTANTS:
        rates = tier.get("configurations", {}).get("servers", {}).get(contestant.name, {})
        if measured := {c: median(rates[c.label]) for c in contestant.configurations if c.label in rates}:
            chosen[contestant.name] = max(measured, key=measured.__getitem__)
    return chosen


def _decoder_rates(task: Task, python: Path, videos: Sequence[bytes]) -> dict[str, float]:
    """Clips a second of the bare limit with each decoder that users of peers write; the fastest is given to all peers."""
    rates = {}
    for decoder in THEIRS:
        with Bare(replace(task, decoder=decoder), python, videos) as bare:
            rates[decoder] = bare.clips_per_second(10)[0]
        say(f"{decoder}: {rates[decoder]} clips/s")
    return rates


def _circumstances() -> dict[str, Any]:
    return {
        "command": command(),
        "measured_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "load_after": getloadavg()[0],
    }


def _recorded() -> dict[str, Any]:
    path = RESULTS / "peers.json"
    return json.loads(path.read_text()) if path.exists() else {"tiers": {}}


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.peers",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="example: make servers-env && .venv/dev/bin/python -m benchmarks.peers --only configurations saturation",
    )
    names = [c.name for c in CONTESTANTS]
    parser.add_argument("--tier", choices=("same", "own"), default="same", help="who decodes with what (default: %(default)s)")
    parser.add_argument(
        "--only", nargs="+", choices=PHASES, default=DEFAULT_PHASES, metavar="PHASE", help="default: %(default)s"
    )
    parser.add_argument("--servers", nargs="+", choices=names, default=names, metavar="NAME", help="default: %(default)s")
    parser.add_argument("--clips", type=Path, help="folder of videos (default: generated ones)")
    parser.add_argument("--count", type=int, default=40, help="videos (default: %(default)s)")
    parser.add_argument("--model", type=Path, default=MODEL, help="published version (default: %(default)s)")
    parser.add_argument(
        "--sampling", choices=("exact", "nearest_reference"), help="of the model's clips (default: as it was trained)"
    )
    parser.add_argument(
        "--video-seconds", type=float, default=SECONDS, help="of the videos that tier `own` generates (default: %(default)s)"
    )
    parser.add_argument("--rounds", type=int, default=3, help="rounds of saturation and latency (default: %(default)s)")
    parser.add_argument(
        "--seconds", type=float, default=10, help="of load in a turn; twice that in latency and overload (default: %(default)s)"
    )
    parser.add_argument(
        "--python", type=Path, default=Path(".venv/servers/bin/python"), help="of the peers (default: %(default)s)"
    )
    args = parser.parse_args()
    if args.video_seconds != SECONDS and (args.tier != "own" or args.clips):
        parser.error("--video-seconds is of videos that are generated: --tier own without --clips")
    if not args.python.exists():
        parser.error(f"{args.python} is missing: make servers-env")
    return args


if __name__ == "__main__":
    main()
