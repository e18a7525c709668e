"""Tables as they were, as psycopg sees them: usage time_travel.py TERRANE-BINARY.

FOR SYSTEM_TIME AS OF, terrane.read_timestamp and the option `history`: what is read is exactly what was committed then, on both
roads and from every kind of statement, or an error says that it cannot be read (rules 6, 7, 24 and 34 of the design).
"""

import datetime
import random
import sys
import tempfile
import threading
import time

import psycopg
from driver_tests import run
from psycopg_sessions import PsycopgServer, run_threads

ROADS = [{}, {"options": "-c terrane.enable_point_road=off"}]


def now(session):
    return session.execute("select clock_timestamp()").fetchone()[0]


def rows(session, query, parameters=None):
    return session.execute(query, parameters).fetchall()


def shown(at):
    """A time in ISO 8601 as EXPLAIN shows it."""
    return at.replace("T", " ").removesuffix("+00:00").rstrip("0")


def expect(sqlstate, session, query, parameters=None):
    """The message of the error that a statement must end in."""
    try:
        session.execute(query, parameters)
    except psycopg.Error as error:
        assert error.sqlstate == sqlstate, (query, error.sqlstate, str(error))
        if session.info.transaction_status == psycopg.pq.TransactionStatus.INERROR:
            session.rollback()
        return str(error)
    raise AssertionError(f"no error: {query}")


def test_every_time_reads_what_was_committed_then(server):
    """A random history of inserts, updates and deletes, read back at each of its times, by key and by scan."""
    draw = random.Random(7)
    server.execute("create table trail (id int primary key, n int)")
    kept, then = {}, []
    with server.connect(autocommit=True) as session:
        for step in range(120):
            key = draw.randrange(8)
            if key not in kept:
                session.execute("insert into trail values (%s, %s)", (key, step))
                kept[key] = step
            elif draw.random() < 0.3:
                session.execute("delete from trail where id = %s", (key,))
                del kept[key]
            else:
                session.execute("update trail set n = %s where id = %s", (step, key))
                kept[key] = step
            then.append((now(session), sorted(kept.items())))
            if step == 60:
                session.execute("checkpoint")
    for options in ROADS:
        with server.connect(autocommit=True, prepare_threshold=1, **options) as session:
            for at, expected in draw.sample(then, len(then)):
                found = rows(session, "select id, n from trail for system_time as of %s order by id", (at,))
                assert found == expected, (at, found, expected)
                session.execute("select set_config('terrane.read_timestamp', %s, false)", (at.isoformat(),))
                assert rows(session, "select id, n from trail order by id") == expected, at
                by_key = {key: rows(session, "select n from trail where id = %s", (key,)) for key in range(8)}
                assert by_key == {key: [(n,) for k, n in expected if k == key] for key in range(8)}, at


def test_one_query_reads_at_several_times(server):
    server.execute("create table joined (id int primary key, n int)", "insert into joined values (1, 10), (2, 20)")
    with server.connect(autocommit=True) as session:
        first = now(session)
        session.execute("update joined set n = n + 1")
        second = now(session)
        session.execute("delete from joined where id = 2")
        session.execute("insert into joined values (3, 30)")
        query = """select a.n, b.n, c.n from joined for system_time as of %s a
            full join joined for system_time as of %s as b using (id) full join joined c using (id) order by 1"""
        assert rows(session, query, (first, second)) == [(10, 11, 11), (20, 21, None), (None, None, 30)]
        # Scalar subqueries that differ in nothing but their time are two.
        query = """select (select sum(n) from joined for system_time as of %s)
            - (select sum(n) from joined for system_time as of %s) - (select sum(n) from joined)"""
        assert rows(session, query, (first, second)) == [(30 - 32 - 41,)]
        query = """with joined as (select * from joined for system_time as of %s)
            select count(*) from joined where id in (select id from public.joined for system_time as of %s where n = 20)"""
        assert rows(session, query, (second, first)) == [(1,)]
        for value in ["coalesce(null, {})", "case when true then {}::text end", "greatest({}, 'epoch')", "({})"]:
            value = value.format(f"'{first.isoformat()}'::timestamptz")
            assert rows(session, f"select sum(n) from joined for system_time as of {value}") == [(30,)], value
        query = "select public.joined.id from public.joined for system_time as of %s order by 1"
        assert rows(session, query, (first,)) == [(1,), (2,)]


def test_a_prepared_statement_reads_at_each_execution(server):
    server.execute("create table prepared_then (id int primary key, n int)", "insert into prepared_then values (1, 1)")
    with server.connect(autocommit=True, prepare_threshold=0) as session:
        times = []
        for n in range(2, 6):
            times.append(now(session))
            session.execute("update prepared_then set n = %s where id = 1", (n,))
        for query in [
            "select n from prepared_then for system_time as of %s where id = 1",
            "select n from prepared_then for system_time as of %s::timestamptz",
            "select n from prepared_then for system_time as of %s + interval '0 s'",
        ]:
            for _ in range(2):
                assert [rows(session, query, (at,)) for at in times] == [[(n,)] for n in range(1, 5)], query
        # As text, whose type the server finds out.
        query = "select n from prepared_then for system_time as of %s"
        assert [rows(session, query, (at.isoformat(),)) for at in times] == [[(n,)] for n in range(1, 5)]
        ago = "select n from prepared_then for system_time as of now() - %s"
        assert rows(session, ago, (datetime.timedelta(0),)) == [(5,)]
        expect("42846", session, "select n from prepared_then for system_time as of %s", (5,))
        expect("22004", session, "select n from prepared_then for system_time as of %s", (None,))
        session.execute("prepare at (timestamptz) as select n from prepared_then for system_time as of $1")
        assert [rows(session, f"execute at ('{at.isoformat()}')") for at in times] == [[(n,)] for n in range(1, 5)]
        # What was prepared before the setting obeys it, and forgets it again.
        for query in ["select n from prepared_then where id = %s", "select n from prepared_then where id + 0 = %s"]:
            assert rows(session, query, (1,)) == [(5,)]
            for n, at in enumerate(times, 1):
                session.execute(f"set terrane.read_timestamp = '{at.isoformat()}'")
                assert rows(session, query, (1,)) == [(n,)], query
            session.execute("reset terrane.read_timestamp")
            assert rows(session, query, (1,)) == [(5,)]


def test_the_setting_counts_for_the_next_statement_of_a_pipeline(server):
    server.execute("create table piped (id int primary key, n int)", "insert into piped values (1, 1)")
    with server.connect(autocommit=True, prepare_threshold=0) as session:
        at = now(session).isoformat()
        session.execute("update piped set n = 2 where id = 1")
        with session.pipeline():
            session.execute("select set_config('terrane.read_timestamp', %s, false)", (at,))
            found = session.execute("select n from piped where id = %s", (1,))
            assert found.fetchall() == [(1,)]


def test_nothing_is_written_while_the_past_is_read(server):
    server.execute("create table written (id int primary key, n int)", "create sequence drawn")
    server.execute("insert into written values (1, 1)")
    writes = [
        "insert into written values (2, 2)",
        "insert into written select 2, 2",
        "insert into written values (1, 2) on conflict (id) do update set n = 2",
        "update written set n = 2 where id = 1",
        "update written set n = n + 1",
        "delete from written where id = 1",
        "delete from written",
        "with gone as (delete from written returning *) select * from gone",
        "truncate written",
        "create table never (id int)",
        "create temp table never (id int)",
        "select * into never from written",
        "drop table written",
        "copy written from stdin",
        "select nextval('drawn')",
        "select setval('drawn', 7)",
        "select * from written for update",
        "explain analyze delete from written",
    ]
    for options in ROADS:
        with server.connect(autocommit=True, **options) as session:
            at = now(session).isoformat()
            session.execute(f"set terrane.read_timestamp = '{at}'")
            for write in writes:
                expect("25006", session, write)
            with session.transaction():
                session.execute("reset terrane.read_timestamp")
                session.execute("update written set n = 7 where id = 1")
                session.execute(f"set local terrane.read_timestamp = '{at}'")
                assert rows(session, "select n from written where id = 1") == [(1,)], "a block's own row is not of then"
                assert rows(session, "select sum(n) from written") == [(1,)]
            assert rows(session, "select n from written") == [(7,)], "SET LOCAL ends with the block"
            session.execute("update written set n = 1")


def test_all_that_reads_obeys_the_setting(server):
    server.execute("create table obeyed (id int primary key, n int)", "insert into obeyed values (1, 1), (2, 2)")
    server.execute("create view seen as select sum(n) as n from obeyed")
    with server.connect(autocommit=True) as session:
        at = now(session).isoformat()
        session.execute("update obeyed set n = n + 10")
        later = now(session).isoformat()
        session.execute("delete from obeyed")
        session.execute(f"set terrane.read_timestamp = '{at}'")
        assert rows(session, "select n from seen") == [(3,)]
        for source in ["obeyed", "(select * from obeyed order by id)"]:
            with session.cursor() as cursor, cursor.copy(f"copy {source} to stdout") as copied:
                assert b"".join(copied) == b"1\t1\n2\t2\n"
        with session.transaction():
            session.execute("declare c cursor for select n from obeyed order by id")
            session.execute("reset terrane.read_timestamp")
            assert rows(session, "fetch all from c") == [(1,), (2,)], "a cursor reads at DECLARE's time"
        session.execute(f"set terrane.read_timestamp = '{at}'")
        explicit = f"select sum(n) from obeyed for system_time as of '{later}'"
        assert rows(session, explicit) == [(23,)], "FOR SYSTEM_TIME wins"
        plan = "\n".join(line for (line,) in rows(session, f"explain {explicit}"))
        assert shown(later) in plan, plan
        plan = "\n".join(line for (line,) in rows(session, "explain select * from obeyed"))
        assert shown(at) in plan, plan
        assert rows(session, "select count(*) from pg_class where relname = 'obeyed'") == [(1,)]
        session.execute("set terrane.read_timestamp = ''")
        assert rows(session, "select count(*) from obeyed") == [(0,)]
        for wrong in ["now", "yesterday", "no time"]:
            expect("22023", session, f"set terrane.read_timestamp = '{wrong}'")


def test_blocks_read_the_past_without_their_own_rows(server):
    server.execute("create table blocked (id int primary key, n int)", "insert into blocked values (1, 1), (2, 2)")
    for level in ["read committed", "repeatable read"]:
        with server.connect() as session, server.connect(autocommit=True) as other:
            at = now(other)
            session.execute(f"set transaction isolation level {level}")
            session.execute("update blocked set n = -1 where id = 1")
            session.execute("insert into blocked values (3, 3)")
            other.execute("update blocked set n = n + 1 where id = 2")
            then = "select * from blocked for system_time as of %s order by id"
            expected = rows(other, then, (at,))
            assert rows(session, then, (at,)) == expected and len(expected) == 2
            assert rows(session, "select n from blocked where id = 1") == [(-1,)]
            session.rollback()


def test_rows_are_restored(server):
    server.execute("create table lost (id int primary key, n int, name text)")
    server.execute("insert into lost select g, g, 'row ' || g from generate_series(1, 50) g")
    with server.connect(autocommit=True) as session:
        at = now(session)
        session.execute("delete from lost where id > 25")
        session.execute("update lost set n = 0, name = null")
        again = "insert into lost select * from lost for system_time as of %s where id > 25"
        assert session.execute(again, (at,)).statusmessage == "INSERT 0 25"
        back = "update lost set n = old.n from lost for system_time as of %s old where old.id = lost.id and lost.id <= 25"
        assert session.execute(back, (at,)).statusmessage == "UPDATE 25"
        named = "update lost set name = (select o.name from lost for system_time as of %s o where o.id = lost.id)"
        assert session.execute(named, (at,)).statusmessage == "UPDATE 50"
        assert rows(session, "select * from lost order by id") == [(g, g, f"row {g}") for g in range(1, 51)]
        gone = "delete from lost using lost for system_time as of %s old where old.id = lost.id and old.n > 40"
        assert session.execute(gone, (at,)).statusmessage == "DELETE 10"
        copied = "create table found as select * from lost for system_time as of"
        assert session.execute(f"{copied} '{at.isoformat()}'").statusmessage == "SELECT 50"
        expect("42P02", session, f"create table found_too as {copied[22:]} %s", (at,))


def test_what_has_no_past_is_refused(server):
    server.execute("create table plain (id int primary key)", "create view plain_view as select * from plain")
    with server.connect(autocommit=True) as session:
        for relation in ["plain_view", "pg_class", "information_schema.tables"]:
            expect("42809", session, f"select * from {relation} for system_time as of now()")
        expect("42809", session, "with c as (select 1) select * from c for system_time as of now()")
        expect("42P01", session, "select * from nowhere for system_time as of now()")
        for query in [
            "select * from generate_series(1, 3) for system_time as of now()",
            "select * from (select 1) q for system_time as of now()",
            "create view w as select * from plain for system_time as of now()",
            "create view w as select (select count(*) from plain for system_time as of now())",
            "update plain for system_time as of now() set id = 1",
            "delete from plain for system_time as of now()",
            "insert into plain for system_time as of now() values (1)",
            "select * from plain for system_time as of now() for update",
            "select * from plain for system_time as of (select now())",
            "select * from plain for system_time as of clock_timestamp()",
            "select * from plain for system_time as of now() - random() * interval '1 hour'",
        ]:
            expect("0A000", session, query)
        for value, sqlstate in [
            ("null", "22004"),
            ("'infinity'", "22023"),
            ("now() + interval '1 minute'", "22023"),
            ("'-infinity'", "72000"),
            ("'1960-01-01'", "72000"),
            ("5", "42846"),
            ("'never'", "22007"),
            ("id", "42703"),
            ("max(now())", "42803"),
        ]:
            expect(sqlstate, session, f"select * from plain for system_time as of {value}")
        # Words that sqlparser looks for behind a table's name are names.
        for word in ["at", "before", "changes", "version"]:
            assert rows(session, f"select {word}.id from plain {word}") == []


def test_a_table_is_read_from_its_storage_on(server):
    """CREATE TABLE, TRUNCATE and ALTER TABLE that rewrites: an error before them, not an empty table (rule 34)."""
    with server.connect(autocommit=True) as session:
        before = now(session)
        session.execute("create table born (id int primary key, n int)")
        expect("72000", session, "select * from born for system_time as of %s", (before,))
        for change in [
            "truncate born",
            "alter table born drop constraint born_pkey, add constraint born_n primary key (n)",
            "alter table born drop constraint born_n, add constraint born_id primary key (id)",
        ]:
            session.execute("insert into born values (1, 1) on conflict do nothing")
            at = now(session)
            assert rows(session, "select * from born for system_time as of %s", (at,)) == [(1, 1)]
            session.execute(change)
            message = expect("72000", session, "select * from born for system_time as of %s", (at,))
            assert "the oldest time that can be read is" in message, message
            session.execute(f"set terrane.read_timestamp = '{at.isoformat()}'")
            expect("72000", session, "select n from born where id = 1")
            expect("72000", session, "select sum(n) from born")
            session.execute("reset terrane.read_timestamp")
        with session.transaction(force_rollback=True):
            session.execute("create table unborn (id int primary key)")
            session.execute("insert into unborn values (1)")
            expect_in_block = "select * from unborn for system_time as of now()"
            try:
                with session.transaction():
                    session.execute(expect_in_block)
                raise AssertionError("a table that is not committed was read as of a time")
            except psycopg.Error as error:
                assert error.sqlstate == "72000", error
        session.execute("create temp table passing (id int primary key)")
        expect("72000", session, "select * from passing for system_time as of %s", (before,))
        session.execute("insert into passing values (1)")
        at = now(session)
        session.execute("delete from passing")
        assert rows(session, "select * from passing for system_time as of %s", (at,)) == [(1,)]


def test_a_column_added_later_reads_as_its_default(server):
    server.execute("create table wider (id int primary key)", "insert into wider values (1)")
    with server.connect(autocommit=True) as session:
        at = now(session)
        session.execute("alter table wider add column n int default 7, add column t text")
        session.execute("update wider set n = 8, t = 'x'")
        assert rows(session, "select * from wider for system_time as of %s", (at,)) == [(1, 7, None)]
        session.execute("alter table wider drop column n")
        assert rows(session, "select * from wider for system_time as of %s", (at,)) == [(1, None)]


def test_history_says_how_far_back(server):
    """T < now - history is refused whether or not the versions are still there (rule 7)."""
    options = "select reloptions from pg_class where relname = 'kept'"
    with server.connect(autocommit=True) as session:
        session.execute("create table kept (id int primary key, n int) with (history = '2 seconds')")
        assert rows(session, options) == [(["history=2 seconds"],)]
        session.execute("insert into kept values (1, 1)")
        at = now(session)
        session.execute("update kept set n = 2")
        then = "select n from kept for system_time as of %s"
        assert rows(session, then, (at,)) == [(1,)]
        time.sleep(2.1)
        expect("72000", session, then, (at,))
        # A longer history brings nothing back that the shorter one let go.
        session.execute("alter table kept set (history = '1 hour')")
        assert rows(session, options) == [(["history=1 hour"],)]
        expect("72000", session, then, (at,))
        at = now(session)
        session.execute("update kept set n = 3")
        assert rows(session, then, (at,)) == [(2,)]
        session.execute("alter table kept set (history = '0')")
        expect("72000", session, then, (at,))
        assert rows(session, "select n from kept") == rows(session, "select n from kept where id = 1") == [(3,)]
        session.execute("alter table kept reset (history)")
        assert rows(session, options) == [(None,)]
        expect("72000", session, then, (at,))
        at = now(session)
        session.execute("delete from kept")
        assert rows(session, then, (at,)) == [(3,)]
        for wrong in ["'soon'", "'-1 second'", "'101 years'", "''"]:
            expect("22023", session, f"create table wrong (id int) with (history = {wrong})")
            expect("22023", session, f"alter table kept set (history = {wrong})")
        # VACUUM lets go of what nobody reads, and then says so.
        at = now(session)
        session.execute("insert into kept values (5, 5)")
        session.execute("vacuum kept")
        expect("72000", session, then, (at,))


def test_statements_without_a_time_do_not_need_history(server):
    """Their timestamp is held while they run, whatever compactions come by (rule 7's oldest open read)."""
    server.execute("create table short (id int primary key, n int) with (history = '0')")
    server.execute("insert into short select g, 0 from generate_series(1, 200) g")
    ended = threading.Event()

    def work(number):
        with server.connect(autocommit=True) as session:
            if number == 0:
                for _ in range(40):
                    session.execute("update short set n = n + 1")
                    session.execute("vacuum short")
                ended.set()
            while not ended.is_set():
                query = "select count(*), min(a.n) = max(a.n) from short a join short b on a.id + 0 = b.id and a.n = b.n"
                assert rows(session, query) == [(200, True)]

    def guarded(number):
        try:
            work(number)
        finally:
            ended.set()

    run_threads(guarded, 3)


def test_what_can_be_read_is_the_same_after_a_restart(_):
    with tempfile.TemporaryDirectory() as directory:
        server = PsycopgServer(sys.argv[1], directory)
        with server.connect(autocommit=True) as session:
            before = now(session)
            session.execute("create table restarted (id int primary key, n int)")
            session.execute("insert into restarted values (1, 1)")
            at = now(session)
            session.execute("update restarted set n = 2")
            session.execute("create table emptied (id int primary key)")
            session.execute("insert into emptied values (1)")
            session.execute("truncate emptied")
        assert server.stop() == 0
        server = PsycopgServer(sys.argv[1], directory)
        with server.connect(autocommit=True) as session:
            query = "select n from restarted for system_time as of %s"
            assert rows(session, query, (at,)) == [(1,)]
            expect("72000", session, query, (before,))
            expect("72000", session, "select * from emptied for system_time as of %s", (at,))
            # Another change of the table's catalog row moves nothing.
            session.execute("alter table restarted rename column n to m")
            assert rows(session, "select m from restarted for system_time as of %s", (at,)) == [(1,)]
        assert server.stop() == 0


if __name__ == "__main__":
    run(globals(), "reads of the past hold", PsycopgServer)
