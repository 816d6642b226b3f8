"""At least 1,000 requests to each operation, made of the server's own document by Schemathesis: what it answered, and what was
not as documented. Once without API keys and once with them; unless ``--seed`` says otherwise, each day has requests of its own.
"""

import argparse
import importlib.metadata
import sys
import tempfile
import time
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks.record import write_result
from tests.contract.conformance import conformance, documented, served
from tests.contract.conftest import API_KEY


def main() -> None:
    """Send, print and record; exit code 1 where an answer was not as documented or an operation was sent too little."""
    args = arguments()
    runs = {name: figures(args.cases, args.seed, key) for name, key in {"open": None, "with_keys": API_KEY}.items()}
    write_result(
        "schema",
        {"schemathesis": importlib.metadata.version("schemathesis"), "seed": args.seed, "cases": args.cases, **runs},
    )
    too_few = [name for name, run in runs.items() if run["fewest_requests"] < args.cases]
    sys.exit(1 if too_few or any(run["failures"] or not run["passed"] for run in runs.values()) else 0)


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.schema", description=__doc__)
    parser.add_argument("--cases", type=int, default=1000, help="requests to each operation, at least (default: %(default)s)")
    today = datetime.now(UTC).date().toordinal()
    parser.add_argument("--seed", type=int, default=today, help="(default: the days since the year 1)")
    return parser.parse_args()


def figures(cases: int, seed: int, api_key: str | None) -> dict[str, Any]:
    """One run against a server of its own."""
    started = time.perf_counter()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with served(folder, api_key) as live:
            found = conformance(live, folder, cases, seed, api_key)
            operations = documented(live)
    print(found.output)
    sent = {operation: found.answers.pop(operation, {}) for operation in operations}
    return {
        "passed": found.passed,
        "requests": {operation: sum(answers.values()) for operation, answers in sent.items()},
        "fewest_requests": min(sum(answers.values()) for answers in sent.values()),
        "answers": {operation: dict(sorted(answers.items())) for operation, answers in sent.items()},
        "answers_to_other_methods": dict(sum(found.answers.values(), start=Counter())),
        "failures": found.failures,
        "seconds": round(time.perf_counter() - started, 1),
    }


if __name__ == "__main__":
    main()
