"""`python -m tests.benchmarks.end_to_end`: from a submission to the mails about it, through all services as they stand.

Every service runs in a process of its own on SQLite, beside the broker and a mail server. Cases are submitted at a
steady rate; each is timed from the moment at which its submission was due until the mail server has taken the mail that
asks for opinions on it, which intake, screening and liaison have to come first for. A rate is held when the last mails
come no later than the first ones did, give or take.
"""

from __future__ import annotations

import argparse
import asyncio
import email
import statistics
import tempfile
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from email.header import decode_header, make_header
from pathlib import Path
from typing import Any
from urllib.parse import unquote

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
from tests.benchmarks.figures import keep
from tests.support.scenario import CONSENT, PLACES, Place, build_scenario, credit_check_character
from tests.support.system import Publisher, empty_cluster

RATES = (20, 50, 100)
GOAL_RATE, P50_MS, P99_MS = 50, 60.0, 250.0
ASKED = "请发表意见"
WAIT_SECONDS = 60.0
LATE = 3.0
"""A rate counts as held while the last quarter of the cases takes no more than so many times the first one's median."""


class Arrivals:
    """The mail server's handler: when the mail that asks for opinions on a case was taken."""

    def __init__(self) -> None:
        self.at: dict[str, float] = {}
        self.mails = 0

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802
        """Note the case of a mail."""
        now = time.perf_counter()
        self.mails += 1
        head = email.message_from_bytes((envelope.original_content or b"").partition(b"\r\n\r\n")[0] + b"\r\n\r\n")
        if ASKED in str(make_header(decode_header(head["Subject"]))):
            self.at.setdefault(unquote(head["X-Kouan-File"]), now)
        return "250 OK"


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


def one_rate(servers: str, arrivals: Arrivals, first: int, rate: int, seconds: float) -> list[float]:
    """Milliseconds of every case, in the order of submission; infinite where no mail came in time."""
    cases: dict[str, float] = {}
    asyncio.run(submit(servers, cases, first, rate, seconds))
    end = time.monotonic() + WAIT_SECONDS
    while time.monotonic() < end and not cases.keys() <= arrivals.at.keys():
        time.sleep(0.05)
    return [(arrivals.at.get(case, float("inf")) - due) * 1000 for case, due in cases.items()]


def settle(arrivals: Arrivals) -> None:
    """Wait until no more mails come."""
    seen = -1
    while arrivals.mails != seen:
        seen = arrivals.mails
        time.sleep(1)


def held(times: list[float]) -> bool:
    """Whether the system kept up: the last cases were not much slower than the first."""
    quarter = max(1, len(times) // 4)
    return statistics.median(times[-quarter:]) <= LATE * max(50.0, statistics.median(times[:quarter]))


@contextmanager
def running(folder: Path) -> Iterator[tuple[str, Arrivals, Workers]]:
    """All services at work, with the directory known."""
    arrivals = Arrivals()
    mail = Controller(arrivals, hostname=HOST, port=free_ports(1)[0])
    with empty_cluster(folder / "broker") as servers:
        mail.start()
        publisher = Publisher(servers)
        publisher.publish(build_scenario(200).directory)
        environment = worker_environment(servers, folder / "data", smtp_port=mail.port, log_level="WARNING")
        with Workers([worker(name, environment, folder / "logs") for name in SERVICES]) as workers:
            workers.wait_ready()
            yield servers, arrivals, workers
        publisher.close()
        mail.stop()


def percentiles(times: list[float]) -> tuple[float, float, float]:
    """p50, p99 and the maximum."""
    cuts = statistics.quantiles(times, n=100) if len(times) > 1 else times * 99
    return cuts[49], cuts[98], max(times)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=20, help="how long each rate is kept up")
    parser.add_argument("--rates", default=",".join(map(str, RATES)), help="cases a second, with commas between them")
    chosen = parser.parse_args()
    console = Console()
    table = Table(title="推荐 → 邮件 · submission → mail")
    for column in ("/s", "p50 ms", "p99 ms", "max ms", "跟得上 · held", "目标 · goal"):
        table.add_column(column, justify="right")
    found: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory() as temporary, running(Path(temporary)) as (servers, arrivals, workers):
        one_rate(servers, arrivals, 0, 10, 3)
        number = 1000
        with Progress(SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn(), console=console) as bar:
            step = bar.add_task("", total=None)
            for rate in map(int, chosen.rates.split(",")):
                bar.update(step, description=f"{rate} /s")
                settle(arrivals)
                times = one_rate(servers, arrivals, number, rate, chosen.seconds)
                number += len(times)
                p50, p99, most = percentiles(times)
                found[f"{rate}/s p50 p99 max ms"] = [p50, p99, most]
                goal = ""
                if rate == GOAL_RATE:
                    met = p50 < P50_MS and p99 < P99_MS
                    verdict = "达到 · met" if met else "[red]未达到 · missed[/red]"
                    goal = f"p50 < {P50_MS:g}, p99 < {P99_MS:g}: {verdict}"
                kept_up = "是 · yes" if held(times) else "[red]否 · no[/red]"
                table.add_row(str(rate), f"{p50:.0f}", f"{p99:.0f}", f"{most:.0f}", kept_up, goal)
        memory = {name: resident_memory(workers[name].pid) / 1e6 for name in SERVICES}
    console.print(table)
    console.print(" · ".join(f"{name} {size:.0f} MB" for name, size in memory.items()))
    file, _ = keep("end-to-end", found, number)
    console.print(f"数据 · figures: {file}")


if __name__ == "__main__":
    main()
