"""`python -m tests.benchmarks.policy_simulate`: how long `kouan policy simulate` takes for recorded referrals.

Referrals of several years are recorded as intake and screening do it: registered, some amended, each scored by the
version of its day. The whole command is measured, from its start to its last line, reading from a file and from the
topics of a broker; afterwards single cases are explained, which fails unless their points add up to their scores.
"""

from __future__ import annotations

import argparse
import json
import random
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import orjson
import yaml
from confluent_kafka import Producer
from kafka import KafkaAdminClient
from rich.console import Console
from rich.table import Table

from schemas.codec import to_binary, to_structured
from schemas.envelope import Event, Payload
from schemas.loading import load_contracts
from schemas.reference import CHINA_TIME, china_date
from schemas.referral import REFERRAL_EXAMPLE, Referral, ReferralAmended, ReferralRegistered
from schemas.values import CooperationMode, FinancingNeed, Industry, KeyArea, Ownership, SizeClass
from services.embedded.kafka import find_or_start
from services.screening.domain.outlook import scored
from services.screening.policy import POLICIES, Policies, load_policies
from tests.benchmarks.figures import Result, finish
from topics.definition import load_catalogue
from topics.plan import apply, plan, read_cluster

FULL, GOAL_S = 100_000, 30.0
DRAFT = "2031-01-01"
EXPLAINED = 5
_FIRST_DAY = datetime(2021, 1, 4, 9, tzinfo=CHINA_TIME)
_COUNTRIES = ("RU", "MN", "KZ", "VN", "LA", "MM", "KP", "NP", "HN", "PY")


def recorded(count: int, policies: Policies, seed: int = 1) -> Iterator[tuple[str, Event[Any]]]:
    """Topic and event of everything that intake and screening record of so many referrals."""
    chance = random.Random(seed)
    for number in range(count):
        id = f"BENCH-{number:07d}"
        at = _FIRST_DAY + timedelta(minutes=25 * number)
        referral = referral_of(chance, number)
        registered = ReferralRegistered(
            referral=referral, side="commerce", source="//commerce/15", registered_at=at, directory_versions=()
        )
        yield "referral.events", _event(id, registered, at, "//kouan/referral_intake")
        yield "screening.events", _scored(id, referral, 1, at, policies)
        if chance.random() < 0.05:
            later = at + timedelta(days=2)
            amended = referral.model_copy(update={"term_months": chance.choice((12, 36, 61))})
            change = ReferralAmended(
                referral=amended,
                revision=2,
                changed=("/term_months",),
                reason="企业调整了期限。",
                amended_at=later,
                directory_versions=(),
            )
            yield "referral.events", _event(id, change, later, "//kouan/referral_intake")
            yield "screening.events", _scored(id, amended, 2, later, policies)


def referral_of(chance: random.Random, number: int) -> Referral:
    enterprise = {
        "size_class": chance.choice(list(SizeClass)),
        "ownership": chance.choice(list(Ownership)),
        "industry": chance.choice(list(Industry)),
        "employees": chance.randint(1, 5000),
        "revenue_10k_cny": chance.randint(10, 400_000),
    }
    body: dict[str, Any] = {
        **REFERRAL_EXAMPLE,
        "name": f"边境贸易企业{number}",
        "enterprise": {**REFERRAL_EXAMPLE["enterprise"], **enterprise},  # type: ignore[dict-item]
        "key_area": chance.choice(list(KeyArea)),
        "lane": "resumption" if chance.random() < 0.1 else "ordinary",
        "need": chance.choice(list(FinancingNeed)),
        "amount": {"amount": f"{chance.randint(10, 90_000) * 1000}.00", "currency": "CNY"},
        "term_months": chance.choice((6, 12, 24, 36, 60, 72, 120)),
        "country": chance.choice(_COUNTRIES),
        "cooperation_mode": chance.choice(list(CooperationMode)),
    }
    kind = chance.random()
    if kind < 0.2:
        investment = {"amount": f"{chance.randint(10, 90_000) * 1500}.00", "currency": "CNY"}
        body |= {"subject_kind": "project", "project": {"name": "木材加工二期", "total_investment": investment}}
    elif kind < 0.25:
        body |= {"subject_kind": "zone_plan", "need": "zone_infrastructure"}
        del body["enterprise"]
    return Referral.model_validate(body)


def _scored(id: str, referral: Referral, revision: int, at: datetime, policies: Policies) -> Event[Any]:
    scoring = policies.in_force(china_date(at)).score(referral)
    payload = scored(scoring, referral, id, revision, at)
    return _event(id, payload, at, "//kouan/screening")


def _event(id: str, payload: Payload, at: datetime, source: str) -> Event[Any]:
    return Event(f"{id}/{payload.TYPE}/{at.isoformat()}", source, payload.TYPE, at, id, payload, id)


def with_draft(folder: Path) -> Path:
    """The policies that are shipped and a draft that stops and favours otherwise."""
    shutil.copytree(POLICIES, folder)
    text = yaml.safe_load((POLICIES / "2024-07-01.yaml").read_text(encoding="utf-8"))
    points = {"micro_or_small": 35, "manufacturing_medium_long_term": 20}
    tilt = [{**rule, "points": points.get(rule["code"], rule["points"])} for rule in text["tilt"]]
    text |= {"version": DRAFT, "effective_from": datetime.fromisoformat(DRAFT).date(), "tilt": tilt}
    (folder / f"{DRAFT}.yaml").write_text(yaml.safe_dump(text, allow_unicode=True), encoding="utf-8")
    return folder


def write(count: int, policies: Policies, file: Path, servers: str | None) -> int:
    """Record so many referrals in a file and, where there is a broker, on its topics; returns the number of events."""
    events = 0
    producer = None if servers is None else _producer(servers)
    with file.open("wb") as lines:
        for topic, event in recorded(count, policies):
            events += 1
            lines.write(orjson.dumps(to_structured(event)) + b"\n")
            if producer is not None:
                key, value, headers = to_binary(event)
                producer.produce(topic, key=key, value=value, headers=headers)
                if events % 5000 == 0:
                    producer.poll(0)
    if producer is not None and producer.flush(120):
        sys.exit("the broker did not confirm all events in time")
    return events


def _producer(servers: str) -> Producer:
    admin = KafkaAdminClient(bootstrap_servers=servers.split(","))
    apply(plan(load_catalogue(), read_cluster(admin)), admin)
    admin.close()
    return Producer(
        {
            "bootstrap.servers": servers,
            "partitioner": "murmur2_random",
            "linger.ms": 20,
            "queue.buffering.max.messages": 1_000_000,
        }
    )


def timed(arguments: Sequence[str], policies: Path) -> tuple[float, float, dict[str, Any]]:
    """Seconds from start to end of a command, those of the processor that it used, and what it told as JSON."""
    command = [sys.executable, "-m", "services.cli", "policy", *arguments, "--folder", str(policies), "--json"]
    began, used = time.perf_counter(), _used_by_children()
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    took, used = time.perf_counter() - began, _used_by_children() - used
    if run.returncode:
        sys.exit(f"{' '.join(arguments)} failed:\n{run.stderr[-3000:]}{run.stdout[-2000:]}")
    found: dict[str, Any] = json.loads(run.stdout)
    return took, used, found


def _used_by_children() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def measure(routes: dict[str, list[str]], policies: Path, file: Path, count: int) -> dict[str, Any]:
    """Seconds of each route, what the simulation found, and the scores of some explained cases."""
    figures: dict[str, Any] = {"referrals": count}
    for name, route in routes.items():
        took, used, found = timed(["simulate", DRAFT, "--from", "2021-01-01", "--to", "2030-12-31", *route], policies)
        if found["referrals"] != count or found["unlike_record"]:
            sys.exit(f"{found['referrals']} referrals were replayed, {found['unlike_record']} unlike their record")
        figures[f"{name}_seconds"] = took
        figures[f"{name}_processor_seconds"] = used
        figures["changed"] = len(found["changed"])
    for number in random.Random(2).sample(range(count), min(EXPLAINED, count)):
        timed(["explain", f"BENCH-{number:07d}", "--policy", DRAFT, "--file", str(file)], policies)
    return figures


def show(figures: dict[str, Any], routes: Sequence[str], console: Console) -> None:
    """The table of what was measured."""
    table = Table(title=f"政策模拟 · policy simulation, {figures['referrals']:,} referrals")
    for column in ("", "结果 · found"):
        table.add_column(column)
    for name in routes:
        took = figures[f"{name}_seconds"]
        table.add_row(
            {"file": "从文件 · from a file", "topics": "从主题 · from the topics"}[name],
            f"{took:.1f} s, {figures['referrals'] / took:,.0f} /s (CPU {figures[f'{name}_processor_seconds']:.1f} s)",
        )
    table.add_row("有变的推荐 · referrals that change", f"{figures['changed']:,}")
    console.print(table)


def results(figures: dict[str, Any], routes: Sequence[str]) -> list[Result]:
    """Seconds of each route; the goal is set for 100,000 referrals."""
    goal = GOAL_S if figures["referrals"] == FULL else None
    return [Result(f"{name}, s", figures[f"{name}_seconds"], "{:.1f}", below=goal) for name in routes]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--referrals", type=int, default=FULL)
    parser.add_argument("--no-broker", action="store_true", help="measure reading from a file alone")
    chosen = parser.parse_args()
    console = Console()
    load_contracts()
    with tempfile.TemporaryDirectory() as temporary:
        folder, file = Path(temporary), Path(temporary) / "recorded.jsonl"
        policies = with_draft(folder / "policies")
        routes = {"file": ["--file", str(file)]}
        console.print(f"记录 {chosen.referrals:,} 件推荐 · recording {chosen.referrals:,} referrals")
        if chosen.no_broker:
            write(chosen.referrals, load_policies(policies), file, None)
            figures = measure(routes, policies, file, chosen.referrals)
        else:
            with find_or_start(folder / "broker", console.print, cache_dir=Path(".kouan/cache")) as broker:
                write(chosen.referrals, load_policies(policies), file, broker.bootstrap_servers)
                routes["topics"] = ["--bootstrap-servers", broker.bootstrap_servers]
                figures = measure(routes, policies, file, chosen.referrals)
    show(figures, list(routes), console)
    found = {name: [float(value)] for name, value in figures.items()}
    finish("policy-simulate", found, chosen.referrals, results(figures, list(routes)), console)


if __name__ == "__main__":
    main()
