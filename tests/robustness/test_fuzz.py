"""Broken variants of sound videos: each is answered, and the server is none the worse. The nightly run takes 10,000."""

from pathlib import Path

from tests.conftest import SHARED_DATA
from tests.robustness.fuzzing import fuzz, fuzzed_server
from tests.robustness.mutation import mutant
from tests.robustness.seeds import fingerprint, own_seeds, seeds_of_others

INPUTS = 500


def test_broken_videos_are_answered_and_harm_nobody(tmp_path: Path) -> None:
    seeds = own_seeds() + seeds_of_others(SHARED_DATA / "containers")
    with fuzzed_server(tmp_path) as live:
        *_, findings = fuzz(live, seeds, range(INPUTS), keep=tmp_path / "answered-wrongly")
    assert findings.faults == [], f"with the seeds {fingerprint(seeds)}; the inputs are in {tmp_path}/answered-wrongly"
    assert findings.inputs == INPUTS
    assert findings.answers["200"] > INPUTS // 20, "hardly anything was decoded: the inputs are too broken to prove much"
    assert findings.answers["200"] < INPUTS * 19 // 20, "hardly anything was refused: the inputs are too sound"


def test_an_input_can_be_made_again_from_its_number() -> None:
    seeds, again = own_seeds(), own_seeds()
    assert fingerprint(seeds) == fingerprint(again)
    inputs = [mutant(seeds, number) for number in range(50)]
    assert inputs == [mutant(again, number) for number in range(50)]
    assert len({broken.data for broken in inputs}) == 50


def test_most_inputs_differ_from_their_seeds() -> None:
    seeds = own_seeds()
    sound = {seed.data for seed in seeds}
    assert sum(mutant(seeds, number).data in sound for number in range(200)) < 20
