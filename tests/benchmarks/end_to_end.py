"""`python -m tests.benchmarks.end_to_end`: from a submission to the mails about it, through all services as they stand.

Every service runs in a process of its own on SQLite, beside the broker and a mail server. Cases are submitted at a
steady rate; each is timed from the moment at which its submission was due until the mail server has taken the mail that
asks for opinions on it, which intake, screening and liaison have to come first for. A rate is held when the last mails
come within a second and no later than the first ones did, give or take; the highest one is looked for above and below
those that are asked for. The records' own times tell what each step of the way took.
"""

from __future__ import annotations

import argparse
import asyncio
import email
import math
import statistics
import tempfile
import time
import uuid
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from email.header import decode_header, make_header
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import uvloop
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session
from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from schemas.referral import Referral, ReferralSubmitted
from services.client.async_publisher import AsyncPublisher
from services.embedded.broker import free_ports
from services.embedded.processes import HOST, Workers, resident_memory, worker, worker_environment
from services.registry import SERVICES
from tests.benchmarks.figures import Result, finish
from tests.benchmarks.way import DUE, TAKEN, Way, percentiles, steps, table_of
from tests.support.scenario import CONSENT, PLACES, Place, build_scenario, credit_check_character
from tests.support.system import Publisher, empty_cluster

RATES = (20, 50, 100)
GOAL_RATE, P50_MS, P99_MS = 50, 60.0, 250.0
ASKED = "请发表意见"
END_OF_HEAD = b"\r\n\r\n"
WAIT_SECONDS = 60.0
READY_SECONDS = 180.0
WARM_UP_RATE, WARM_UP_SECONDS = 20, 20
CLIMB, CLIMBS = 1.25, 8
"""By how much the rate is changed, and how often at the most, to find the highest that is held."""

LATE, LATEST_MS = 3.0, 1000.0
"""A rate counts as held while the last quarter of the cases takes no more than so many times the first one's median,
and no more than so long: where already the first ones wait for others, all are late."""


class Arrivals:
    """The mail server's handler: when the mail that asks for opinions on a case was taken.

    Mails are read when somebody asks for that: reading them costs as much as taking them, and the machine is measured.
    """

    def __init__(self) -> None:
        self.mails = 0
        self._unread: deque[tuple[float, bytes]] = deque()
        self._at: dict[str, float] = {}

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802
        """Note when a mail was taken."""
        self.mails += 1
        self._unread.append((time.perf_counter(), (envelope.original_content or b"").partition(END_OF_HEAD)[0]))
        return "250 OK"

    @property
    def at(self) -> dict[str, float]:
        """When the first such mail came, by case."""
        while self._unread:
            moment, head = self._unread.popleft()
            headers = email.message_from_bytes(head + END_OF_HEAD)
            if ASKED in str(make_header(decode_header(headers["Subject"]))):
                self._at.setdefault(unquote(headers["X-Kouan-File"]), moment)
        return self._at


def referral(number: int, place: Place) -> Referral:
    """A sound referral of an enterprise that no other case knows."""
    first = f"91{place.province}0{number % 900 + 100}MA{number:07d}"
    name = f"{place.zone} 测速企业 {number}"
    return Referral.model_validate(
        {
            "subject_kind": "enterprise",
            "name": name,
            "enterprise": {
                "credit_code": first + credit_check_character(first),
                "name": name,
                "size_class": "small",
                "ownership": "private",
                "industry": "manufacturing",
                "employees": 126,
                "revenue_10k_cny": 900,
            },
            "zone": place.zone,
            "province": place.province,
            "branch": place.branch,
            "key_area": "border_trade_chain",
            "lane": "ordinary",
            "need": "working_capital",
            "amount": {"amount": "500000.00", "currency": "CNY"},
            "term_months": 12,
            "purpose": "端到端测速。",
        }
    )


async def submit(servers: str, cases: dict[str, float], first: int, rate: int, seconds: float) -> None:
    """Submit at a steady rate; `cases` gets the moment at which each was due."""
    publishers = {place: AsyncPublisher(servers, f"//commerce/{place.zone}") for place in PLACES}
    for publisher in publishers.values():
        await publisher.start()
    run = uuid.uuid4().hex[:6]
    payloads = []
    for number in range(first, first + int(rate * seconds)):
        place = PLACES[number % len(PLACES)]
        consent: Any = {**CONSENT, "evidence": f"SQ-{number}"}
        payload = ReferralSubmitted.model_validate({"referral": referral(number, place), "consent": consent})
        payloads.append((f"E2E-{run}-{number}", place, payload))
    begin = time.perf_counter() + 0.2
    sending = []
    for place_in_time, (case, place, payload) in enumerate(payloads):
        due = begin + place_in_time / rate
        await asyncio.sleep(max(0.0, due - time.perf_counter()))
        cases[case] = due
        sending.append(asyncio.create_task(publishers[place].publish(payload, subject=case, reference=case)))
    await asyncio.gather(*sending)
    for publisher in publishers.values():
        await publisher.stop()


@dataclass(slots=True)
class Passage:
    """Cases submitted at one rate: milliseconds of each, in their order, infinite where no mail came in time; and of
    each step of the way."""

    rate: int
    times: list[float]
    steps: dict[str, list[float]]

    @property
    def held(self) -> bool:
        """Whether the system kept up: the last cases were neither late nor much slower than the first."""
        quarter = max(1, len(self.times) // 4)
        bound = min(LATEST_MS, LATE * max(50.0, statistics.median(self.times[:quarter])))
        return statistics.median(self.times[-quarter:]) <= bound

    @property
    def found(self) -> tuple[float, float, float]:
        """p50, p99 and the maximum."""
        return percentiles(self.times)


def one_rate(servers: str, arrivals: Arrivals, first: int, rate: int, seconds: float) -> Passage:
    """Let cases through at a steady rate."""
    cases: dict[str, float] = {}
    way = Way.begin(servers)
    uvloop.run(submit(servers, cases, first, rate, seconds))
    end = time.monotonic() + WAIT_SECONDS
    while time.monotonic() < end and not cases.keys() <= arrivals.at.keys():
        time.sleep(0.05)
    times = [(arrivals.at.get(case, float("inf")) - due) * 1000 for case, due in cases.items()]
    moments = way.moments(list(cases))
    epoch = time.time() - time.perf_counter()
    for case, of in moments.items():
        of[DUE] = cases[case] + epoch
        if case in arrivals.at:
            of[TAKEN] = arrivals.at[case] + epoch
    return Passage(rate, times, steps(moments))


def settle(arrivals: Arrivals) -> None:
    """Wait until no more mails come."""
    seen = -1
    while arrivals.mails != seen:
        seen = arrivals.mails
        time.sleep(1)


@contextmanager
def running(folder: Path) -> Iterator[tuple[str, Arrivals, Workers]]:
    """All services at work, with the directory known."""
    arrivals = Arrivals()
    # Whoever submits and whoever takes mails share the machine with what is measured: the faster loop for both.
    mail = Controller(arrivals, hostname=HOST, port=free_ports(1)[0], loop=uvloop.new_event_loop())
    with empty_cluster(folder / "broker") as servers:
        mail.start()
        publisher = Publisher(servers)
        publisher.publish(build_scenario(200).directory)
        environment = worker_environment(servers, folder / "data", smtp_port=mail.port, log_level="WARNING")
        with Workers([worker(name, environment, folder / "logs") for name in SERVICES]) as workers:
            workers.wait_ready(READY_SECONDS)
            yield servers, arrivals, workers
        publisher.close()
        mail.stop()


def climb(passages: list[Passage], at: Callable[[int], Passage]) -> int:
    """The highest rate that is held: raised from the highest so far until one is not, or lowered until one is; 0 where
    none is. `at` lets cases through at a rate."""
    kept_up = [passage.rate for passage in passages if passage.held]
    too_much = [passage.rate for passage in passages if not passage.held]
    if not kept_up:
        rate = min(too_much)
        for _ in range(CLIMBS):
            rate = math.floor(rate / CLIMB)
            if rate == 0 or at(rate).held:
                return rate
        return 0
    highest = max(kept_up)
    for _ in range(CLIMBS):
        rate = math.ceil(highest * CLIMB)
        if rate >= min(too_much, default=math.inf) or not at(rate).held:
            break
        highest = rate
    return highest


def show(passages: list[Passage], console: Console) -> None:
    """The tables: all of the way at each rate, and its steps."""
    table = Table(title="推荐 → 邮件 · submission → mail")
    for column in ("/s", "p50 ms", "p99 ms", "max ms", "跟得上 · held"):
        table.add_column(column, justify="right")
    for passage in passages:
        kept_up = "是 · yes" if passage.held else "[red]否 · no[/red]"
        table.add_row(str(passage.rate), *(f"{value:.0f}" for value in passage.found), kept_up)
    console.print(table)
    console.print(table_of({passage.rate: passage.steps for passage in passages}))


def results(passages: list[Passage], highest: int) -> list[Result]:
    """What is asked for at one of the rates, and the highest rate."""
    found = []
    for passage in passages:
        if passage.rate == GOAL_RATE:
            p50, p99, _ = passage.found
            found.append(Result(f"p50 at {GOAL_RATE}/s, ms", p50, "{:.0f}", below=P50_MS))
            found.append(Result(f"p99 at {GOAL_RATE}/s, ms", p99, "{:.0f}", below=P99_MS))
    return [*found, Result("highest rate held, cases/s", highest, "{:.0f}")]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=20, help="how long each rate is kept up")
    parser.add_argument("--rates", default=",".join(map(str, RATES)), help="cases a second, with commas between them")
    parser.add_argument("--no-climb", action="store_true", help="do not look for the highest rate")
    chosen = parser.parse_args()
    console = Console()
    with tempfile.TemporaryDirectory() as temporary, running(Path(temporary)) as (servers, arrivals, workers):
        number = 0
        with Progress(SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn(), console=console) as bar:
            step = bar.add_task("", total=None)

            def at(rate: int, seconds: float = chosen.seconds) -> Passage:
                nonlocal number
                bar.update(step, description=f"{rate} /s")
                settle(arrivals)
                passage = one_rate(servers, arrivals, number, rate, seconds)
                number += len(passage.times)
                return passage

            at(WARM_UP_RATE, WARM_UP_SECONDS)
            passages = [at(rate) for rate in map(int, chosen.rates.split(","))]
            highest = max((each.rate for each in passages if each.held), default=0)
            if not chosen.no_climb:
                highest = climb(passages, at)
        memory = {name: resident_memory(workers[name].pid) / 1e6 for name in SERVICES}
    show(passages, console)
    console.print(" · ".join(f"{name} {size:.0f} MB" for name, size in memory.items()))
    figures = {f"{each.rate}/s p50 p99 max ms": list(each.found) for each in passages}
    for each in passages:
        figures |= {f"{each.rate}/s {name}": values for name, values in each.steps.items()}
    figures |= {f"{name} MB": [size] for name, size in memory.items()}
    finish("end-to-end", figures, sum(each.rate for each in passages), results(passages, highest), console)


if __name__ == "__main__":
    main()
