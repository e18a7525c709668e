"""What a server must survive: usage bad_input.py TERRANE-BINARY.

Garbage on the port, half messages, lengths that lie, statements nested too deeply, keys too long, queries past
their memory and their disk. Each gets a PostgreSQL error or a closed connection, and the server answers the next client.
"""

import os
import socket
import struct

import psycopg
from driver_tests import Server, run

MEMORY_MIB = 32
TEMPORARY_MIB = 256


class SmallServer(Server):
    """A running terrane with little memory for queries, and little disk for what they spill."""

    def __init__(self, binary, directory):
        limits = ["--query-memory-mib", str(MEMORY_MIB), "--query-temporary-mib", str(TEMPORARY_MIB)]
        super().__init__(binary, directory, *limits)

    def connect(self):
        return psycopg.connect(self.url, autocommit=True)

    def raw(self, data, half_close=True):
        """Sends bytes, and reads what comes until the server closes or is silent."""
        with socket.create_connection((self.host, self.port), timeout=10) as stream:
            stream.settimeout(3)
            answer = b""
            try:
                stream.sendall(data)
                if half_close:
                    stream.shutdown(socket.SHUT_WR)
                while chunk := stream.recv(65536):
                    answer += chunk
            except (ConnectionError, socket.timeout):
                pass
            return answer

    def lives(self):
        with self.connect() as session:
            assert session.execute("select 41 + 1").fetchone() == (42,)


def startup():
    body = struct.pack("!i", 196608) + b"user\0terrane\0database\0terrane\0\0"
    return struct.pack("!i", len(body) + 4) + body


def refused(session, state, statement):
    try:
        session.execute(statement)
    except psycopg.Error as error:
        assert error.sqlstate == state, (error.sqlstate, str(error)[:200])
        return
    raise AssertionError(f"not refused: {statement[:80]}")


def test_garbage_on_the_port(server):
    for seed in range(20):
        server.raw(bytes((seed * 7919 + at * 104729) % 256 for at in range(2000)))
    server.raw(b"GET / HTTP/1.1\r\n\r\n")
    server.lives()


def test_half_messages(server):
    whole = startup()
    for length in range(0, len(whole), 7):
        server.raw(whole[:length])
    server.raw(whole + b"Q\0\0")
    server.raw(whole + b"Q" + struct.pack("!i", 100) + b"select 1")
    server.lives()


def test_lengths_that_lie(server):
    for length in (0x7FFFFFFF, 0x40000000, 3, 0, -1):
        server.raw(struct.pack("!i", length) + b"\0" * 16)
        server.raw(startup() + b"Q" + struct.pack("!i", length) + b"x" * 64)
    server.lives()


def test_garbage_after_login(server):
    for seed in range(20):
        noise = bytes((seed * 31 + at * 1299709 // 7) % 256 for at in range(500))
        server.raw(startup() + noise)
    server.lives()


def test_statements_nested_too_deeply(server):
    with server.connect() as session:
        refused(session, "54001", "select " + "(" * 10000 + "1" + ")" * 10000)
        refused(session, "54001", "select " + "array[" * 5000 + "1" + "]" * 5000)
        refused(session, "54001", "select * from " + "(select * from " * 2000 + "t" + ")" * 2000)
        assert session.execute("select 1").fetchone() == (1,)


def test_chains_of_operators(server):
    with server.connect() as session:
        for link, operand in ((" + ", "1"), (" || ", "'a'"), (" IS NULL = ", "1"), (" AND ", "1=1")):
            refused(session, "54001", "select " + link.join([operand] * 30000))
        refused(session, "54001", " except ".join(["select 1"] * 5000))
        refused(session, "54001", "explain select " + " or ".join(["1=1"] * 5000))
        ors = " or ".join(f"n = {n}" for n in range(3000))
        found = session.execute(f"select count(*) from generate_series(1, 9) as n where {ors}").fetchone()
        assert found == (9,)
        assert len(session.execute(" union all ".join(["select 1"] * 1000)).fetchall()) == 1000
        assert session.execute("select 1").fetchone() == (1,)


def test_a_series_that_does_not_fit(server):
    with server.connect() as session:
        refused(session, "53200", "select generate_series(1, 3000000000)")
        assert session.execute("select count(*) from generate_series(1, 1000000)").fetchone() == (1000000,)


def test_parameters_that_nobody_can_bind(server):
    with server.connect() as session:
        for number in (0, 65536, 99999999999, 10**30):
            result = session.pgconn.prepare(b"", f"select ${number}::int".encode())
            assert result.error_field(psycopg.pq.DiagnosticField.SQLSTATE) == b"42P02", number
        assert session.execute("select 1").fetchone() == (1,)


def test_keys_that_are_too_long(server):
    with server.connect() as session:
        session.execute("create table long_keys (k text primary key)")
        refused(session, "54000", f"insert into long_keys values ('{'x' * 70000}')")
        session.execute(f"insert into long_keys values ('{'x' * 1000}')")
        assert session.execute("select length(k) from long_keys").fetchall() == [(1000,)]


def test_a_sort_past_the_cap_spills(server):
    with server.connect() as session:
        # From one source: sorts side by side share the memory, and may not get enough of it.
        rows = session.execute(
            "select n, v from (select n, repeat(n::text, 12) as v from generate_series(1, 450000) n) s"
            " order by n::bigint * 7919 % 450007"
        ).fetchall()
        expected = sorted(range(1, 450001), key=lambda n: n * 7919 % 450007)
        assert [row[0] for row in rows] == expected, rows[:3]
        spilled = os.listdir(os.path.join(server.directory, "tmp"))
        assert spilled, "no directory was made to spill to"


def test_a_sort_past_the_disk_it_may_take(server):
    with server.connect() as session:
        query = (
            "select sum(r * length(v)) from (select v, row_number() over (order by v) as r"
            " from (select repeat(md5(n::text), 32) as v from generate_series(1, {} * 1024) n) s) s"
        )
        refused(session, "53400", query.format(TEMPORARY_MIB * 2))
        session.execute(query.format(TEMPORARY_MIB // 4))
        spilled = os.path.join(server.directory, "tmp")
        assert not any(files for _, _, files in os.walk(spilled)), list(os.walk(spilled))
    server.lives()


def test_an_aggregate_past_the_cap(server):
    with server.connect() as session:
        refused(
            session,
            "53200",
            "select length(array_to_string(array_agg(x || '-' || y), ','))"
            " from generate_series(1, 20000) a(x), generate_series(1, 20000) b(y)",
        )
        assert session.execute("select 1").fetchone() == (1,)


run(globals(), "bad inputs survived", SmallServer)
