"""Map columns from outside: usage maps.py TERRANE-BINARY.

Keys of large maps are read and written one at a time, which the system's own counts of the process tell; many clients
count in one row's map; what a killed server had acknowledged is there when it starts again.
"""

import contextlib
import random
import signal
import sys
import tempfile
import time

from driver_tests import run
from psycopg_sessions import PsycopgServer, run_threads

KEYS = 100_000


def bytes_read(server):
    """Bytes that the process has asked of files so far, cached by the system or not."""
    with open(f"/proc/{server.process.pid}/io", encoding="ascii") as io:
        counts = dict(line.split(": ") for line in io.read().splitlines())
    return int(counts["rchar"]) + int(counts["read_bytes"])


@contextlib.contextmanager
def with_a_large_map():
    """A server that has just started on a table with one row of a hundred thousand keys, 10 MB."""
    with tempfile.TemporaryDirectory() as directory:
        server = PsycopgServer(sys.argv[1], directory)
        with server.connect(autocommit=True) as session:
            session.execute("create table wide (id int primary key, n int, attrs hstore)")
            session.execute("insert into wide values (1, 10, ''), (2, 20, 'a=>1')")
            draw = random.Random(5)
            for first in range(0, KEYS, 10_000):
                some = range(first, first + 10_000)
                entries = ", ".join(f'"key {at:06}"=>"{draw.randbytes(50).hex()}"' for at in some)
                session.execute("update wide set attrs = attrs || %s::hstore where id = 1", [entries])
            session.execute("vacuum wide")
        assert server.stop() == 0
        server = PsycopgServer(sys.argv[1], directory)
        try:
            yield server
        finally:
            assert server.stop() == 0


def test_one_key_of_a_large_map_is_read_and_written_alone(_):
    with with_a_large_map() as server:
        with server.connect(autocommit=True) as session:
            session.execute("select 1")
            before = bytes_read(server)
            query = "select length(attrs['key 077777']), attrs ? 'none', n from wide where id = 1"
            assert session.execute(query).fetchall() == [(100, False, 10)]
            assert bytes_read(server) - before < 1_000_000, bytes_read(server) - before
            session.execute("update wide set attrs['key 000001'] = 'one' where id = 1")
            session.execute("update wide set attrs = attrs - 'key 000002'::text where id = 1")
            found = session.execute(
                "select attrs -> 'key 000001', attrs -> 'key 000002', attrs ? 'key 000003' from wide where id = 1"
            )
            assert found.fetchall() == [("one", None, True)]
            assert bytes_read(server) - before < 1_000_000, bytes_read(server) - before
            plan = session.execute(f"explain {query}").fetchall()
            assert any("keys of attrs=2" in line for (line,) in plan), plan
            found = session.execute("select array_length(akeys(attrs), 1) from wide where id = 1")
            assert found.fetchall() == [(KEYS - 1,)]
            assert bytes_read(server) - before > 5_000_000


def test_clients_count_in_one_map(server):
    with server.connect(autocommit=True) as session:
        session.execute("create table counted (id int primary key, hits map(text, bigint))")
        session.execute("insert into counted values (1, '{}')")

    def count(_):
        with server.connect(autocommit=True) as session:
            for at in range(50):
                session.execute(
                    f"update counted set hits['k{at % 3}'] = coalesce(hits['k{at % 3}'], 0) + 1 where id = 1"
                )

    run_threads(count, 16)
    with server.connect(autocommit=True) as session:
        found = session.execute("select hits['k0'], hits['k1'], hits['k2'] from counted").fetchall()
        assert found == [(16 * 17, 16 * 17, 16 * 16)], found


def test_entries_end_with_their_familys_ttl(server):
    with server.connect(autocommit=True) as session:
        session.execute(
            "create table brief (id int primary key, m hstore, family m with (ttl = '2 seconds'))"
        )
        session.execute("insert into brief values (1, 'a=>1, b=>2')")
        time.sleep(1.2)
        session.execute("update brief set m['b'] = '3', m['c'] = NULL where id = 1")
        found = session.execute("select akeys(m) from brief").fetchall()
        assert found == [(["a", "b", "c"],)], found
        time.sleep(1.2)
        for _ in range(2):
            found = session.execute("select m, m ? 'a', m ? 'c' from brief").fetchall()
            assert found == [('"b"=>"3", "c"=>NULL', False, True)], found
            session.execute("vacuum brief")
        time.sleep(1.2)
        assert session.execute("select m from brief").fetchall() == [("",)]
        # A row that ends by itself takes its map along.
        session.execute(
            "create table ended (id int primary key, n int, m hstore, "
            "family \"default\" with (ttl = '1 second'))"
        )
        session.execute("insert into ended values (1, 1, 'a=>1')")
        time.sleep(1.2)
        assert session.execute("select * from ended").fetchall() == []
        session.execute("insert into ended values (1, 2, 'b=>2')")
        assert session.execute("select m from ended").fetchall() == [('"b"=>"2"',)]


def test_what_is_acknowledged_survives_a_kill(_):
    """Random changes of maps, each told to a dictionary once it is acknowledged, and kill -9 between."""
    draw = random.Random(11)
    told = {}
    with tempfile.TemporaryDirectory() as directory:
        server = PsycopgServer(sys.argv[1], directory)
        with server.connect(autocommit=True) as session:
            session.execute("create table k (id int primary key, n int, m map(text, bigint))")
        for _ in range(3):
            with server.connect(autocommit=True) as session:
                for _ in range(300):
                    change(session, draw, told)
                if draw.random() < 0.5:
                    session.execute("checkpoint")
                server.process.send_signal(signal.SIGKILL)
                server.process.wait()
            server = PsycopgServer(sys.argv[1], directory)
            with server.connect(autocommit=True) as session:
                for _ in range(2):
                    found = dict(session.execute("select id, m from k").fetchall())
                    assert found == told, (found, told)
                    session.execute("vacuum k")
        assert server.stop() == 0


def change(session, draw, told):
    row, key, value = draw.randrange(8), f"k{draw.randrange(100)}", draw.randrange(1000)
    kind = draw.randrange(8)
    if kind == 0:
        session.execute("delete from k where id = %s", [row])
        told.pop(row, None)
    elif kind == 1:
        keys = {f"k{at}": at for at in range(draw.choice([0, 3, 100]))}
        text = "{" + ", ".join(f'"{key}": {value}' for key, value in keys.items()) + "}"
        session.execute(
            "insert into k values (%s, 1, %s) on conflict (id) do update set m = excluded.m", [row, text]
        )
        told[row] = keys
    elif kind == 2:
        session.execute("update k set m = m - %s::text where id = %s", [key, row])
        told.get(row, {}).pop(key, None)
    else:
        session.execute(f"update k set m['{key}'] = %s where id = %s", [value, row])
        if row in told:
            told[row][key] = value


if __name__ == "__main__":
    run(globals(), "tests of map columns passed", PsycopgServer)
