"""What can be said of brokers and mail servers without starting one."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
from types import SimpleNamespace

import pytest

from services.embedded.broker import BROKER_SETTINGS, BrokerUnavailable, answers, free_ports, kafka_version
from services.embedded.java import kafka_jars, new_cluster_id
from services.embedded.kafka import find_or_start
from services.embedded.smtp import MailFile, read_mails


def envelope(number: int, headers: str = "") -> SimpleNamespace:
    content = (
        f"Message-ID: <{number}@kouan>\r\nSubject: =?utf-8?b?5o6o6I2Q?= {number}\r\n{headers}\r\nbody {number}\r\n"
    )
    return SimpleNamespace(mail_from="kouan@example.cn", rcpt_tos=["li@example.cn"], original_content=content.encode())


def test_a_machine_with_neither_docker_nor_java_is_told_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("KAFKA_BOOTSTRAP_SERVERS", raising=False)
    monkeypatch.delenv("JAVA_HOME", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/nobody.sock")

    with pytest.raises(BrokerUnavailable) as caught:
        find_or_start(tmp_path)

    text = str(caught.value)
    assert "安装并启动 Docker" in text
    assert "apt-get install default-jre-headless maven" in text
    assert "[docker]" in text
    assert "[java]" in text


def test_a_named_broker_that_does_not_answer_is_reported_and_nothing_else_is_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    address = f"127.0.0.1:{free_ports(1)[0]}"
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", address)

    with pytest.raises(BrokerUnavailable, match=address):
        find_or_start(tmp_path)

    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("address", ["", "localhost", "127.0.0.1:port", "127.0.0.1:1"])
def test_an_address_where_nobody_listens_does_not_answer(address: str) -> None:
    assert not answers(address, seconds=1)


def test_a_data_folder_written_by_one_way_is_not_opened_by_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("KAFKA_BOOTSTRAP_SERVERS", raising=False)
    (tmp_path / "kafka").mkdir()
    (tmp_path / "kafka" / "origin").write_text("docker")

    with pytest.raises(BrokerUnavailable, match="written by the way `docker`"):
        find_or_start(tmp_path, ways=["java"])


def test_a_data_folder_in_use_is_not_opened_twice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("KAFKA_BOOTSTRAP_SERVERS", raising=False)
    (tmp_path / "kafka").mkdir()
    holder = os.open(tmp_path / "kafka" / "lock", os.O_RDWR | os.O_CREAT)
    fcntl.flock(holder, fcntl.LOCK_EX)

    with pytest.raises(BrokerUnavailable, match="in use by another kouan"):
        find_or_start(tmp_path, ways=["java"])

    os.close(holder)


def test_jars_that_are_there_need_no_maven(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", os.devnull)
    (tmp_path / f"kafka-{kafka_version()}").mkdir()

    assert kafka_jars(tmp_path, pytest.fail) == tmp_path / f"kafka-{kafka_version()}"


def test_jars_come_into_a_relative_cache_though_maven_works_beside_its_pom(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    programs, elsewhere = tmp_path / "bin", tmp_path / "elsewhere"
    programs.mkdir()
    elsewhere.mkdir()
    maven = programs / "mvn"
    maven.write_text(
        f"""#!/bin/sh
cd {elsewhere}
for given; do case "$given" in -DoutputDirectory=*) mkdir -p "${{given#*=}}" ;; esac; done
"""
    )
    maven.chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}:{os.defpath}")

    assert kafka_jars(Path("cache"), lambda said: None) == tmp_path / "cache" / f"kafka-{kafka_version()}"
    assert (tmp_path / "cache" / f"kafka-{kafka_version()}").is_dir()
    assert not list(elsewhere.iterdir())


def test_a_dead_letter_of_five_megabytes_fits_with_its_headers() -> None:
    assert int(BROKER_SETTINGS["message.max.bytes"]) >= 5 * 1024 * 1024 + 256 * 1024
    assert int(BROKER_SETTINGS["replica.fetch.max.bytes"]) >= int(BROKER_SETTINGS["message.max.bytes"])


def test_cluster_ids_never_look_like_an_option() -> None:
    ids = {new_cluster_id() for _ in range(500)}
    assert len(ids) == 500
    assert all(len(each) == 22 and not each.startswith("-") for each in ids)


def test_a_mail_is_kept_with_its_id_recipients_subject_and_order(tmp_path: Path) -> None:
    file = tmp_path / "mails.jsonl"
    mails = MailFile(file)
    mails.append(envelope(1))
    mails.append(envelope(2))

    first, second = read_mails(file)
    assert (first.number, second.number) == (1, 2)
    assert (first.message_id, first.subject, first.text) == ("<1@kouan>", "推荐 1", "body 1\n")
    assert first.to == ["li@example.cn"]
    assert first.sender == "kouan@example.cn"


def test_a_mail_file_opened_after_a_crash_drops_the_half_line_and_counts_on(tmp_path: Path) -> None:
    file = tmp_path / "mails.jsonl"
    MailFile(file).append(envelope(1))
    with file.open("ab") as sink:
        sink.write(b'{"number":2,"message_id":"<2@')
    assert [mail.number for mail in read_mails(file)] == [1]

    MailFile(file).append(envelope(2))

    assert [(mail.number, mail.message_id) for mail in read_mails(file)] == [(1, "<1@kouan>"), (2, "<2@kouan>")]


def test_a_mail_in_an_unknown_charset_or_with_html_alone_is_kept_too(tmp_path: Path) -> None:
    file = tmp_path / "mails.jsonl"
    mails = MailFile(file)
    mails.append(envelope(1, "Content-Type: text/html; charset=utf-8\r\n"))
    mails.append(envelope(2, "Content-Type: text/plain; charset=x-nobody-knows\r\n"))
    mails.append(envelope(3, "Subject: =?x-nobody-knows?b?5o6o?=\r\n"))

    assert [mail.text for mail in read_mails(file)] == ["body 1\n", "body 2\n", "body 3\n"]
