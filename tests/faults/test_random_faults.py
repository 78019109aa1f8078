"""Faults of every kind at random, one at a time or two combined, in the middle of hundreds of cases.

`KOUAN_TEST_SEED` draws the same faults again; what they strike in the middle of still differs from run to run.
"""

from __future__ import annotations

import random
import time
from pathlib import Path

import pytest

from tests.support.mischief import SESSION_MS, Scene, draw, lasting, struck
from tests.support.mistakes import mistakes
from tests.support.network import broker_behind_a_network
from tests.support.outcome import read_outcome
from tests.support.postgres import fresh_database
from tests.support.scenario import Input, Scenario, build_scenario
from tests.support.system import System, create_catalogue

pytestmark = [pytest.mark.broker, pytest.mark.postgres, pytest.mark.thorough, pytest.mark.timeout(900)]

REFERRALS = 600
FAULTS = 8
STEPS = 6
"""Parts of the scenario that are published while one fault lasts."""
ON_POSTGRES = ("referral_intake", "loan_desk", "liaison")
AGAIN = 100


def again_of(system: System, published: list[Input], dice: random.Random) -> int:
    """Publish some sound inputs once more, in any order."""
    sound = [one for one in published if b"nonsense" not in (one.key or b"")]
    chosen = dice.sample(sound, min(AGAIN, len(sound)))
    system.publisher.begin(chosen)
    return len(chosen)


def sound_inputs(scenario: Scenario) -> set[Input]:
    """Those that a repeat leaves as they are: poison would make one more dead letter."""
    cases = scenario.expected.intake.keys()
    idents: dict[bytes, Input] = {}
    for one in scenario.inputs:
        if (one.key or b"").decode(errors="replace") in cases:
            idents.setdefault(dict(one.headers)["ce_id"], one)
    return set(idents.values())


def test_random_faults_change_nothing(tmp_path: Path, postgres_url: str, dice: random.Random) -> None:
    scenario = build_scenario(REFERRALS)
    sound = sound_inputs(scenario)
    published: list[Input] = []
    with (
        broker_behind_a_network() as (container, network),
        fresh_database(postgres_url) as url,
    ):
        create_catalogue(network.address)
        with System(
            network.address, tmp_path, database_url=url, on_postgres=ON_POSTGRES, session_timeout_ms=SESSION_MS
        ) as system:
            system.publisher.publish(scenario.directory)
            system.workers.wait_ready(300)
            scene = Scene(system, dice, container, network, again=lambda dice: again_of(system, published, dice))
            parts = list(scenario.chunks(FAULTS * STEPS))
            done = []
            for number in range(FAULTS):
                chosen = draw(scene)
                seconds = lasting(chosen, dice)
                with struck(scene, chosen) as what:
                    done.append(f"{' + '.join(one.name for one in chosen)} ({', '.join(what)}), {seconds:.1f} s")
                    ends = time.monotonic() + seconds
                    for part in parts[number * STEPS : (number + 1) * STEPS]:
                        system.publisher.begin(part)
                        published += [one for one in part if one in sound]
                        time.sleep(seconds / STEPS)
                    time.sleep(max(0.0, ends - time.monotonic()))
                system.publisher.confirm()
                system.workers.check_alive()
            print("\n".join(done))  # noqa: T201 - which faults there were is what a failure is read with
            system.settle()
            found = mistakes(scenario, read_outcome(network.address, system.databases, system.mails))
    assert not found, "\n".join(found[:40])
