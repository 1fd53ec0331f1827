"""Protobuf streams sent by a real PowerDNS Recursor and a real dnsdist, asked by a real dig."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import threading
import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import dns.flags
import dns.message
import dns.rcode
import dns.rrset
import pytest

from ports import free_port
from remnant.capture.powerdns import PowerDnsReader
from remnant.capture.readers import recognise
from textlogs import counts, quarantine, read, rows, v4

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from remnant.capture import AnswersMode, Batch

READER = PowerDnsReader()
ZONE = r"""$ORIGIN auth.test.
@ 60 IN SOA a b 1 2 3 4 5
@ IN NS ns
ns A 192.0.2.53
www CNAME host
host A 192.0.2.1
host AAAA 2001:db8::1
host TXT "hello \"world\"" "a\;b\001"
"""
POLICY = """$ORIGIN rpz.
@ 60 IN SOA a. b. 1 2 3 4 5
@ IN NS a.
evil.test CNAME .
nothing.test CNAME *.
lured.test A 192.0.2.66
"""
ASKED: list[tuple[list[str], str, int, int, str]] = [
    (["www.auth.test", "A"], "www.auth.test", 1, 0, "udp"),
    (["HOST.auth.test", "AAAA", "+tcp"], "host.auth.test", 28, 0, "tcp"),
    (["host.auth.test", "TXT"], "host.auth.test", 16, 0, "udp"),
    ([r"a\032b\255.x\.y.auth.test", "TYPE65"], r"a\032b\255.x\.y.auth.test", 65, 3, "udp"),
    (["evil.test", "A"], "evil.test", 1, 3, "udp"),
    (["nothing.test", "A"], "nothing.test", 1, 0, "udp"),
    (["lured.test", "A"], "lured.test", 1, 0, "udp"),
    (["chain.far.test", "A", "+subnet=203.0.113.0/24"], "chain.far.test", 1, 0, "udp"),
    (["gone.far.test", "MX"], "gone.far.test", 15, 3, "udp"),
    ([".", "NS"], ".", 2, 2, "udp"),
]


class Listener:
    """Keeps what is sent to a port, connection by connection."""

    def __init__(self) -> None:
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._socket.getsockname()[1])
        self._parts: list[bytearray] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            self._parts.append(bytearray())
            threading.Thread(
                target=self._keep, args=(connection, self._parts[-1]), daemon=True
            ).start()

    def _keep(self, connection: socket.socket, part: bytearray) -> None:
        with connection:
            while data := connection.recv(1 << 16):
                part += data

    def close(self) -> bytes:
        self._socket.close()
        return b"".join(bytes(part) for part in self._parts)


class Upstream:
    """A name server that knows what lies below far.test and refuses all else with SERVFAIL."""

    def __init__(self) -> None:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 0))
        self.port = int(self._socket.getsockname()[1])
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                data, peer = self._socket.recvfrom(4096)
            except OSError:
                return
            self._socket.sendto(self._answer(dns.message.from_wire(data)).to_wire(), peer)

    def _answer(self, query: dns.message.Message) -> dns.message.Message:
        answer = dns.message.make_response(query)
        answer.flags |= dns.flags.RA
        name = query.question[0].name.to_text().lower()
        if name == "chain.far.test.":
            answer.answer.append(dns.rrset.from_text(name, 60, "IN", "CNAME", "end.far.test."))
            answer.answer.append(dns.rrset.from_text("end.far.test.", 60, "IN", "A", "192.0.2.77"))
        elif name.endswith("far.test."):
            answer.set_rcode(dns.rcode.NXDOMAIN)
        else:
            answer.set_rcode(dns.rcode.SERVFAIL)
        return answer

    def close(self) -> None:
        self._socket.close()


def program(name: str) -> str:
    found = shutil.which(name, path="/usr/sbin:/usr/bin:/sbin:/bin:/usr/local/sbin:/usr/local/bin")
    if found is None:
        pytest.skip(f"{name} is not installed (Debian: pdns-recursor, dnsdist, bind9-dnsutils)")
    return found


def ask(port: int, *words: str) -> str:
    command = [program("dig"), "@127.0.0.1", "-p", str(port), "+time=3", "+tries=1", *words]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=30).stdout


def await_answer(port: int, name: str) -> None:
    """Ask until the server answers."""
    for _ in range(100):
        if "status:" in ask(port, name, "+time=1"):
            return
        time.sleep(0.1)
    pytest.fail("the server does not answer")


def serve(command: Sequence[str], folder: Path) -> subprocess.Popen[bytes]:
    with (folder / "output").open("wb") as output:
        return subprocess.Popen(
            list(command), stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT
        )


def stop(server: subprocess.Popen[bytes]) -> None:
    server.terminate()
    try:
        server.wait(60)
    except subprocess.TimeoutExpired:
        server.kill()
        server.wait()


def answers(data: bytes, mode: AnswersMode) -> set[tuple[str, int, str]]:
    batches = read(READER, data, answers=mode, now=datetime.now(UTC))
    return {
        (one["rrname"], one["rrtype"], one["rdata"])
        for batch in batches
        if batch.answers is not None
        for one in batch.answers.to_pylist()
    }


def observed(data: bytes) -> tuple[list[Batch], list[dict[str, Any]]]:
    """Return the batches, and the rows without those that only waited for the server."""
    batches = read(READER, data, now=datetime.now(UTC))
    return batches, [row for row in rows(batches) if not row["name"].endswith("ready.test")]


@pytest.fixture(scope="module")
def recursor(tmp_path_factory: pytest.TempPathFactory) -> tuple[bytes, bytes]:
    """Return what the Recursor sent about its clients, and about the servers it asked."""
    binary, _ = program("pdns_recursor"), program("dig")
    folder = tmp_path_factory.mktemp("recursor")
    clients, servers, upstream, port = Listener(), Listener(), Upstream(), free_port()
    (folder / "auth.zone").write_text(ZONE, encoding="ascii")
    (folder / "rpz.zone").write_text(POLICY, encoding="ascii")
    (folder / "protobuf.lua").write_text(
        f"""
        protobufServer({{"127.0.0.1:{clients.port}"}}, {{exportTypes={{
            'A', 'AAAA', 'CNAME', 'MX', 'NS', 'PTR', 'SPF', 'SRV', 'TXT'}}}})
        outgoingProtobufServer({{"127.0.0.1:{servers.port}"}})
        rpzFile("{folder}/rpz.zone", {{policyName="seized"}})
        """,
        encoding="ascii",
    )
    server = serve(
        [
            binary,
            "--daemon=no",
            f"--config-dir={folder}",
            f"--socket-dir={folder}",
            "--local-address=127.0.0.1",
            f"--local-port={port}",
            # Nothing leaves this machine.
            "--query-local-address=127.0.0.1",
            f"--forward-zones-recurse=.=127.0.0.1:{upstream.port}",
            "--dont-query=",
            "--security-poll-suffix=",
            "--hint-file=no",
            "--dnssec=off",
            f"--auth-zones=auth.test={folder}/auth.zone",
            f"--lua-config-file={folder}/protobuf.lua",
            "--server-id=rec-1",
            "--threads=1",
            "--edns-subnet-allow-list=far.test",
            "--ecs-add-for=0.0.0.0/0",
            "--use-incoming-edns-subnet=yes",
            "--disable-syslog=yes",
            "--write-pid=no",
        ],
        folder,
    )
    try:
        await_answer(port, "ready.test")
        for words, *_ in ASKED:
            ask(port, *words)
        time.sleep(1)
    finally:
        stop(server)
        time.sleep(0.2)
        upstream.close()
        sent = clients.close(), servers.close()
    if not sent[0]:
        pytest.fail((folder / "output").read_text(encoding="utf-8", errors="replace")[-2000:])
    return sent


def test_every_question_to_the_recursor_is_one_row(recursor: tuple[bytes, bytes]) -> None:
    data, _ = recursor
    batches, seen = observed(data)

    assert getattr(recognise(data[: 1 << 16]), "name", None) == "powerdns-protobuf"
    assert [(row["name"], row["qtype"], row["rcode"], row["transport"]) for row in seen] == [
        tuple(asked[1:]) for asked in ASKED
    ]
    assert {row["address"] for row in seen} == {v4("127.0.0.1")}
    assert {row["sensor"] for row in seen} == {"rec-1"}
    assert all(row["client_port"] for row in seen)
    assert [row["case_bits"] for row in seen if row["case_bits"]] == [0b1111]
    age = datetime.now(UTC) - seen[0]["time"]
    assert timedelta(0) < age < timedelta(minutes=5)
    assert quarantine(batches) == []
    assert counts(batches)[1:] == [0, 0, 0]
    assert batches[-1].end == len(data)


def test_policies_of_the_recursor_are_told(recursor: tuple[bytes, bytes]) -> None:
    _, seen = observed(recursor[0])
    told = {row["name"]: json.loads(row["detail"])["rpz"] for row in seen if row["detail"]}

    assert told == {
        name: {"action": action, "trigger": "QNAME", "rule": f"{name}."}
        for name, action in (
            ("evil.test", "NXDOMAIN"),
            ("nothing.test", "NODATA"),
            ("lured.test", "LOCAL_DATA"),
        )
    }


def test_the_client_subnet_is_the_one_that_was_asked_with(recursor: tuple[bytes, bytes]) -> None:
    _, seen = observed(recursor[0])

    assert {row["name"]: row["ecs"] for row in seen if row["ecs"]} == {
        "chain.far.test": v4("203.0.113.0") + b"\x78"
    }


def test_answers_of_the_recursor_are_records(recursor: tuple[bytes, bytes]) -> None:
    clients, servers = recursor

    assert answers(clients, "all") >= {
        ("www.auth.test", 5, "host.auth.test"),
        ("host.auth.test", 1, "192.0.2.1"),
        ("host.auth.test", 28, "2001:db8::1"),
        ("host.auth.test", 16, r'"hello \"world\"" "a;b\001"'),
        ("lured.test", 1, "192.0.2.66"),
        ("end.far.test", 1, "192.0.2.77"),
    }
    # Recursor 4.8 leaves the owners out of the records that servers gave it: they are not guessed.
    assert answers(servers, "all") in (
        set(),
        {("chain.far.test", 5, "end.far.test"), ("end.far.test", 1, "192.0.2.77")},
    )


def test_what_the_recursor_asks_others_is_skipped(recursor: tuple[bytes, bytes]) -> None:
    _, data = recursor
    batches = read(READER, data, now=datetime.now(UTC))

    assert rows(batches) == []
    messages, malformed, skipped, _ = counts(batches)
    assert (messages, malformed) == (0, 0)
    assert skipped >= 6


@pytest.fixture(scope="module")
def dnsdist(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    binary, _ = program("dnsdist"), program("dig")
    folder = tmp_path_factory.mktemp("dnsdist")
    listener, upstream, port = Listener(), Upstream(), free_port()
    (folder / "dnsdist.conf").write_text(
        f"""
        setLocal("127.0.0.1:{port}")
        setSecurityPollSuffix("")
        newServer({{address="127.0.0.1:{upstream.port}"}}):setUp()
        log = newRemoteLogger("127.0.0.1:{listener.port}")
        addAction(AllRule(), RemoteLogAction(log, nil, {{serverID="dist-1"}}))
        addResponseAction(AllRule(), RemoteLogResponseAction(log, nil, true, {{serverID="dist-1"}}))
        addSelfAnsweredResponseAction(
            AllRule(), RemoteLogResponseAction(log, nil, true, {{serverID="dist-1"}}))
        addAction(QNameRule("evil.test"), SpoofAction({{"192.0.2.66"}}))
        addAction(QNameRule("refused.test"), RCodeAction(DNSRCode.REFUSED))
        """,
        encoding="ascii",
    )
    server = serve([binary, "--supervised", "-C", str(folder / "dnsdist.conf")], folder)
    try:
        await_answer(port, "ready.test")
        ask(port, "chain.far.test", "A")
        ask(port, "EVIL.test", "A", "+tcp")
        ask(port, "refused.test", "AAAA")
        time.sleep(1)
    finally:
        stop(server)
        time.sleep(0.2)
        upstream.close()
        sent = listener.close()
    if not sent:
        pytest.fail((folder / "output").read_text(encoding="utf-8", errors="replace")[-2000:])
    return sent


def test_every_question_to_dnsdist_is_one_row(dnsdist: bytes) -> None:
    batches, seen = observed(dnsdist)

    assert READER.sniff(dnsdist[: 1 << 16])
    assert [
        (row["name"], row["qtype"], row["rcode"], row["transport"], row["sensor"]) for row in seen
    ] == [
        ("chain.far.test", 1, 0, "udp", "dist-1"),
        ("evil.test", 1, 0, "tcp", "dist-1"),
        ("refused.test", 28, 5, "udp", "dist-1"),
    ]
    assert counts(batches)[1:] == [0, 0, 0]
    assert counts(batches)[0] == 2 * sum(batch.query_messages for batch in batches)
    assert answers(dnsdist, "all") == {
        ("chain.far.test", 5, "end.far.test"),
        ("end.far.test", 1, "192.0.2.77"),
        ("evil.test", 1, "192.0.2.66"),
    }
