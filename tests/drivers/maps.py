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

import psycopg
from driver_tests import run
from psycopg.types import TypeInfo
from psycopg.types.hstore import register_hstore
from psycopg_sessions import PsycopgServer, run_threads

KEYS = 100_000


def bytes_read(server):
    """Bytes that the process has asked of files so far, cached by the system or not. Pages of the program itself,
    which `read_bytes` counts where the system had let them go, are none of them."""
    with open(f"/proc/{server.process.pid}/io", encoding="ascii") as io:
        counts = dict(line.split(": ") for line in io.read().splitlines())
    return int(counts["rchar"])


def bytes_written(server):
    with open(f"/proc/{server.process.pid}/io", encoding="ascii") as io:
        counts = dict(line.split(": ") for line in io)
    return int(counts["wchar"])


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
            # Neither does a block read more than it looks at, nor a statement about all rows.
            with session.transaction():
                session.execute("update wide set attrs['key 000003'] = 'three', n = n + 1 where id = 1")
                session.execute("update wide set n = n + 1, attrs['all'] = 'x' where attrs ? 'a' or attrs ? 'key 000009'")
                look = "select n, attrs -> 'key 000003', attrs -> 'all', attrs ? 'key 000004' from wide"
                assert session.execute(f"{look} where id = 1").fetchall() == [(12, "three", "x", True)]
                with session.transaction():
                    session.execute("update wide set attrs = delete(attrs, 'all')")
                    found = session.execute("select count(*) from wide where attrs ? 'all'").fetchall()
                    assert found == [(0,)]
            session.execute("update wide set n = n - 1")
            assert session.execute(f"{look} order by id").fetchall() == [
                (11, "three", None, True), (20, None, None, False)
            ]
            assert bytes_read(server) - before < 1_000_000, bytes_read(server) - before
            plan = session.execute(f"explain {query}").fetchall()
            assert any("keys of attrs=2" in line for (line,) in plan), plan
            found = session.execute("select array_length(akeys(attrs), 1) from wide where id = 1")
            assert found.fetchall() == [(KEYS - 1,)]
            assert bytes_read(server) - before > 5_000_000


def test_what_a_change_shows_of_a_large_map_is_read_alone(_):
    """RETURNING, ON CONFLICT over any index, and a CHECK that tablets cannot compute."""
    with with_a_large_map() as server:
        with server.connect(autocommit=True) as session:
            session.execute("create unique index on wide (n)")
            session.execute("alter table wide add constraint short check (length(n::text) < 6 and not attrs ? 'refused')")
            # Both looked at every row.
            session.execute("checkpoint")
            before = bytes_read(server)
            for statement, found in [
                ("update wide set n = n + 1 where id = 1 returning id, n", [(1, 11)]),
                ("update wide set attrs['a'] = 'x' where id = 1 returning attrs['a'], attrs ? 'none'", [("x", False)]),
                ("update wide set n = 12 where n = 11 returning length(attrs -> 'key 077777')", [(100,)]),
                ("insert into wide values (1, 0, null) on conflict (id) do update set n = wide.n + 1, "
                 "attrs['b'] = excluded.n::text returning n, attrs['b']", [(13, "0")]),
                ("insert into wide values (5, 13, 'b=>new') on conflict (n) do update set attrs = wide.attrs || excluded.attrs "
                 "where wide.attrs['b'] = '0' returning id, attrs -> 'b'", [(1, "new")]),
                ("insert into wide values (5, 13, null) on conflict (n) do update set n = 0 where wide.attrs ? 'none' "
                 "returning id", []),
                ("update wide set n = 10 where id = 1 and attrs ? 'b' returning *, 1", None),
            ]:
                if found is None:
                    assert bytes_read(server) - before < 1_000_000, bytes_read(server) - before
                    rows = session.execute(statement).fetchall()
                    assert rows[0][:2] == (1, 10) and len(rows[0][2]) > 10_000_000, rows[0][:2]
                    assert bytes_read(server) - before > 5_000_000
                else:
                    assert session.execute(statement).fetchall() == found, statement
            # What is refused is shown as it would be.
            try:
                session.execute("update wide set attrs = '\"one\"=>\"1\"' where id = 2")
                session.execute("update wide set attrs['refused'] = 'yes' where id = 2")
                raise AssertionError("a row that the check refuses")
            except psycopg.errors.CheckViolation as error:
                assert '"one"=>"1", "refused"=>"yes"' in error.diag.message_detail, error.diag.message_detail


def test_whatever_is_put_into_a_large_map_is_written_alone(_):
    """Also where the frontend computes what is put and removed."""
    with with_a_large_map() as server:
        with server.connect(autocommit=True) as session:
            session.execute("create unique index on wide (n)")
            session.execute("checkpoint")
            before = bytes_read(server), bytes_written(server)
            for statement in [
                "update wide set attrs = attrs || hstore('a', '1') where id = 1",
                "update wide set attrs = attrs || 'b=>2'::hstore where id = 1",
                "update wide set attrs = coalesce(attrs, '') || hstore(array['c', 'd'], array['3', n::text]) where id = 1",
                "update wide w set attrs = w.attrs || hstore('e', upper(w.attrs['a'] || 'x')) where w.id = 1 and w.attrs['b'] = '2'",
                "update wide set attrs = attrs - array['key 000001', 'none', null] where id = 1",
                "update wide set attrs = delete(attrs, array['key 000002']) || hstore('f', '5') where id = 1",
                "update wide set attrs['g'] = upper('six'), attrs['h'] = length(attrs['key 000003'])::text where id = 1",
                "update wide set attrs['i'] = (select max(x) from unnest(array['p', 'q']) u(x)) where id = 1",
                "update wide set attrs['j'] = o.x from (values (1, 'y')) o(i, x) where id = o.i",
                "insert into wide values (1, 0, 'k=>z') on conflict (id) do update "
                "set attrs = wide.attrs || hstore('k', upper(excluded.attrs['k'])) where wide.attrs['j'] = 'y'",
                "insert into wide values (9, 10, null) on conflict (n) do update set attrs['l'] = upper('m') || wide.attrs['k']",
            ]:
                assert session.execute(statement).rowcount == 1, statement
                grown = bytes_read(server) - before[0], bytes_written(server) - before[1]
                assert max(grown) < 1_000_000, (statement, grown)
            found = session.execute(
                "select slice(attrs, array['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h', 'i', 'j', 'k', 'l', 'key 000001', 'key 000002'])::text "
                "from wide where id = 1"
            ).fetchone()[0]
            assert found == (
                '"a"=>"1", "b"=>"2", "c"=>"3", "d"=>"10", "e"=>"1X", "f"=>"5", "g"=>"SIX", "h"=>"100", "i"=>"q", "j"=>"y", '
                '"k"=>"Z", "l"=>"MZ"'
            ), found
            assert session.execute("select array_length(akeys(attrs), 1) from wide where id = 1").fetchone() == (KEYS + 10,)


def test_a_range_of_keys_of_a_large_map_is_read_alone(_):
    with with_a_large_map() as server:
        with server.connect(autocommit=True) as session:
            session.execute("select 1")
            before = bytes_read(server)
            entries = "from wide w, each(w.attrs) a where"
            bounded = f"{entries} a.key >= 'key 077700' and a.key < 'key 077800'"
            query = f"select count(*), min(a.key), max(a.key), min(length(a.value)) {bounded}"
            assert session.execute(query).fetchone() == (100, "key 077700", "key 077799", 100)
            for condition, parameters, count in [
                ("a.key like 'key 0777%%'", [], 100),
                ("a.key between %s and %s", ["key 05", "key 050009"], 10),
                ("a.key in (%s, %s, 'none')", ["key 000001", "a"], 2),
                ("a.key > %s and w.id = %s", ["key 099989", 1], 10),
            ]:
                found = session.execute(f"select count(*) {entries} {condition}", parameters)
                assert found.fetchone() == (count,), condition
            # A key that a prepared statement is given.
            for at in range(10):
                found = session.execute(
                    "select length(attrs -> %s) from wide where id = 1", [f"key {at:06}"], prepare=True
                )
                assert found.fetchone() == (100,)
            assert bytes_read(server) - before < 1_000_000, bytes_read(server) - before
            plan = "\n".join(line for (line,) in session.execute(f"explain analyze {query}"))
            assert "keys of attrs in [key 077700, key 077800)" in plan, plan
            assert bytes_read(server) - before < 1_000_000, bytes_read(server) - before
            # What is shown beside them is read, too.
            found = session.execute(f"select count(*), max(array_length(akeys(w.attrs), 1)) {bounded}")
            assert found.fetchone() == (100, KEYS)
            assert bytes_read(server) - before > 5_000_000


def memory_peak(server):
    """The most memory that the process has had, in bytes, since it was last asked."""
    with open(f"/proc/{server.process.pid}/status", encoding="ascii") as status:
        kibibytes = next(line for line in status if line.startswith("VmHWM")).split()[1]
    with open(f"/proc/{server.process.pid}/clear_refs", "w", encoding="ascii") as reset:
        reset.write("5")
    return int(kibibytes) * 1024


def test_a_million_entries_unfold_in_bounded_memory(server):
    with server.connect(autocommit=True) as session:
        session.execute("create table million (id int primary key, n int, m hstore)")
        session.execute(
            "insert into million select 1, 1, hstore(array_agg('key ' || i), array_agg(i::text)) "
            "from generate_series(1, 1000000) i"
        )
        session.execute("insert into million values (2, 2, ''), (3, 3, 'a=>1')")
        session.execute("vacuum million")
        memory_peak(server)
        before = memory_peak(server)
        for query, answer in [
            ("select count(*), sum(a.value::int) from million t, each(t.m) a", [(1000001, 500000500001)]),
            (
                "select t.id, count(a.key) from million t left join lateral each(t.m) a on true "
                "group by t.id order by 1",
                [(1, 1000000), (2, 0), (3, 1)],
            ),
            ("select count(*) from million t, skeys(t.m) k where k like '%9'", [(100000,)]),
            ("select id, (select count(*) from each(m)) from million order by 1", [(1, 1000000), (2, 0), (3, 1)]),
            ("select count(*) from (select (each(m)).* from million) s where value > '5'", [(555554,)]),
        ]:
            assert session.execute(query).fetchall() == answer, query
            # The map is 30 MB; its keys and values are arrays of as much each, and come out in batches.
            grown = memory_peak(server) - before
            assert grown < 400_000_000, (query, grown)


def test_a_map_beside_its_own_entries_takes_bounded_memory(server):
    with server.connect(autocommit=True) as session:
        session.execute("create table beside (id int primary key, m hstore)")
        session.execute(
            "insert into beside select 1, hstore(array_agg('key ' || i), array_agg(repeat('x', 90))) "
            "from generate_series(1, 5000) i"
        )
        memory_peak(server)
        before = memory_peak(server)
        # Together 2.5 GB of copies.
        found = session.execute("select count(*), bool_and(t.m ? a.key) from beside t, each(t.m) a")
        assert found.fetchall() == [(5000, True)]
        found = session.execute("select count(n) from (select m -> 'key 7' n, (each(m)).key from beside) s")
        assert found.fetchall() == [(5000,)]
        assert memory_peak(server) - before < 300_000_000


def test_joins_do_not_copy_the_maps_that_they_repeat(server):
    """Two maps of 2 MB beside thousands of rows: tens of gigabytes in every one of these, were they copied."""
    with server.connect(autocommit=True) as session:
        session.execute("create table repeated (id int primary key, m hstore)")
        session.execute(
            "insert into repeated select n, (select hstore(array_agg('k' || i), array_agg(repeat('v', 90))) "
            "from generate_series(1, 20000) i) from generate_series(1, 2) n"
        )
        session.execute("create table numbers (n int primary key, v text)")
        session.execute("insert into numbers select n, 'old' from generate_series(1, 1000) n")
        series = "generate_series(1, 9000) g"
        memory_peak(server)
        before = memory_peak(server)
        for query, answer in [
            (f"select count(*) from {series}, repeated b where b.m -> ('k' || g) is not null and b.id <> g", [(17998,)]),
            (f"select count(b.m -> ('k' || g)) from {series}, repeated b where b.id <> g", [(17998,)]),
            (f"select count(b.m) from {series} join repeated b on b.id = g % 3", [(6000,)]),
            (f"select count(b.m) from {series} left join repeated b on b.m ? ('k' || g) and b.id > g", [(1,)]),
            (f"select count(b.m) from {series} full join repeated b on b.m ? ('k' || g) and b.id < g", [(17997,)]),
            (
                f"select count(*) from {series} where exists (select from repeated b where b.m ? ('k' || g) and b.id <> g)",
                [(9000,)],
            ),
            (
                "select count(*) from repeated b where not exists "
                f"(select from {series} where b.m -> ('k' || g) = 'x' and b.id <> g)",
                [(2,)],
            ),
            ("select count(*) from repeated a join repeated b on a.m = b.m", [(4,)]),
            (f"select g, b.id, b.m -> 'k1' is null from {series}, repeated b order by 1 desc, 2 limit 1", [(9000, 1, False)]),
            (f"select count(distinct b.m) from generate_series(1, 1000) g, repeated b", [(1,)]),
            ("select count(*), bool_and(t.m ? a.key) from repeated t, each(t.m) a where t.id = 1", [(20000, True)]),
            (
                "select count(*) from (select b.m, row_number() over (order by g, b.id) "
                "from generate_series(1, 1000) g, repeated b) s where m ? 'k2'",
                [(2000,)],
            ),
        ]:
            assert session.execute(query).fetchall() == answer, query
            grown = memory_peak(server) - before
            assert grown < 400_000_000, (query, grown)
        changed = session.execute("update numbers set v = 'new' from repeated b where b.m ? ('k' || n) and b.id > n")
        assert changed.rowcount == 1
        changed = session.execute("delete from numbers using repeated b where b.m ? ('k' || n) and b.id <> n")
        assert changed.rowcount == 1000
        assert memory_peak(server) - before < 400_000_000
    with server.connect() as session:
        with session.cursor(name="some") as cursor:
            cursor.execute(f"select g, b.m from {series}, repeated b")
            assert len(cursor.fetchmany(20)) == 20
        assert memory_peak(server) - before < 400_000_000


def test_dictionaries_are_parameters(server):
    """psycopg looks the type up, and sends what hstore_recv reads; what comes back is told to be text."""
    told = {"a": "1", "b": None, 'q"': "x", "": ""}
    with server.connect(autocommit=True) as session:
        info = TypeInfo.fetch(session, "hstore")
        register_hstore(info, session)
        session.execute("create table given (id int primary key, m hstore)")
        for at, form in enumerate(["%s", "%t", "%b"]):
            session.execute(f"insert into given values ({at}, {form})", [told])
            session.execute(f"insert into given values ({at + 10}, {form})", [{}])
        found = session.execute("select count(*) from given where m = %s or m = %s", [told, {}])
        assert found.fetchone() == (6,)
        found = session.execute("select key, value from given, each(m) where id = 2 order by key")
        assert dict(found.fetchall()) == told
        found = session.execute("select oid::regprocedure::text from pg_proc where proname = 'slice'")
        assert found.fetchall() == [("slice(hstore,text[])",)]


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
        begun = time.monotonic()
        session.execute("insert into brief values (1, 'a=>1, b=>2')")
        time.sleep(1.2)
        session.execute("update brief set m['b'] = '3', m['c'] = NULL where id = 1")
        found = session.execute("select akeys(m) from brief").fetchall()
        # On a machine that is held up, the first entry may have ended by now.
        in_time = time.monotonic() - begun < 2
        assert found == [(["a", "b", "c"],)] or not in_time and found == [(["b", "c"],)], found
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
