"""Terrane as psycopg sees it: usage psycopg_session.py TERRANE-BINARY.

Starts the binary on an empty directory, runs every function named test_*, prints one line each and a
closing count. No anomalies (two sessions adding to one row), blocks, savepoints, errors, types.
"""

import datetime
import decimal
import threading
import time
import uuid

import psycopg
from driver_tests import run
from psycopg_sessions import PsycopgServer, run_threads


def test_two_sessions_adding_in_blocks_sum_exactly(server):
    with server.connect(autocommit=True) as session:
        session.execute("create table c (id int primary key, n bigint)")
        session.execute("insert into c values (1, 0)")

    def add(_):
        with server.connect() as session:
            for _ in range(300):
                session.execute("update c set n = n + 1")
                session.commit()

    run_threads(add, 2)
    with server.connect() as session:
        assert session.execute("select n from c").fetchone() == (600,)


def test_blocks_that_compute_from_the_row_do_not_conflict(server):
    with server.connect() as one, server.connect(autocommit=True) as two:
        two.execute("create table signs (id int primary key, n int, f float8)")
        two.execute("insert into signs values (1, 0, 0)")
        for change in ["n = n + -3", "n = -n", "n = n - (-4)", "f = -f"]:
            one.execute(f"update signs set {change} where id = 1")
            two.execute("update signs set n = n + 1, f = f + 1 where id = 1")
            one.commit()
        assert two.execute("select n, f from signs").fetchone() == (7, -4)


def test_sixteen_clients_on_one_row_sum_exactly(server):
    with server.connect(autocommit=True) as session:
        session.execute("create table hot (id int primary key, n bigint)")
        session.execute("insert into hot values (1, 0)")

    def add(_):
        with server.connect(autocommit=True) as session:
            for _ in range(40):
                session.execute("update hot set n = n + 1 where id = 1")

    run_threads(add, 16)
    with server.connect() as session:
        assert session.execute("select n from hot").fetchone() == (640,)


def test_delete_and_insert_of_one_key_in_one_commit(server):
    with server.connect() as session:
        session.execute("create table d (id int primary key, v text)")
        session.execute("insert into d values (1, 'old')")
        session.commit()
        session.execute("delete from d where id = 1")
        session.execute("insert into d values (1, 'new')")
        session.commit()
        assert session.execute("select v from d").fetchall() == [("new",)]


def test_equal_keys_in_one_statement_leave_none(server):
    with server.connect(autocommit=True) as session:
        session.execute("create table e (id int primary key)")
        try:
            session.execute("insert into e values (4), (4)")
            raise AssertionError("two equal keys went in")
        except psycopg.errors.UniqueViolation as error:
            assert error.diag.constraint_name == "e_pkey"
        assert session.execute("select count(*) from e").fetchone() == (0,)


def test_a_failed_block_answers_nothing_until_rollback(server):
    with server.connect() as session:
        session.execute("create table f (id int primary key)")
        session.commit()
        session.execute("insert into f values (1)")
        try:
            session.execute("select nothing from f")
            raise AssertionError("an unknown column was found")
        except psycopg.errors.UndefinedColumn:
            pass
        try:
            session.execute("select 1")
            raise AssertionError("a failed block answered")
        except psycopg.errors.InFailedSqlTransaction:
            pass
        session.rollback()
        assert session.execute("select count(*) from f").fetchone() == (0,)


def test_savepoints(server):
    with server.connect() as session:
        session.execute("create table s (id int primary key)")
        with session.transaction():
            session.execute("insert into s values (1)")
            try:
                with session.transaction():
                    session.execute("insert into s values (2)")
                    raise ValueError("rolled back")
            except ValueError:
                pass
            session.execute("insert into s values (3)")
        session.commit()
        assert session.execute("select id from s order by id").fetchall() == [(1,), (3,)]


def unchecked(session, query, *values):
    """Runs a query whose parameters are texts of no stated type, as many drivers send them."""
    result = session.pgconn.exec_params(query.encode(), [value.encode() for value in values])
    assert not result.error_message, result.error_message
    rows = range(result.ntuples)
    return [tuple(result.get_value(r, c).decode() for c in range(result.nfields)) for r in rows]


def test_types_in_both_directions(server):
    values = {
        "boolean": True,
        "smallint": -7,
        "integer": 123456,
        "bigint": 1 << 60,
        "double precision": 0.1,
        "numeric(20,4)": decimal.Decimal("12345.6789"),
        "text": "Grüße, 'quoted'",
        "bytea": bytes(range(256)),
        "date": datetime.date(2001, 2, 3),
        "time": datetime.time(4, 5, 6, 789),
        "timestamp": datetime.datetime(2001, 2, 3, 4, 5, 6, 7),
        "timestamptz": datetime.datetime(2001, 2, 3, 4, 5, 6, 7, datetime.timezone.utc),
        "uuid": uuid.UUID("12345678-1234-5678-1234-567812345678"),
        "int[]": [1, None, 3],
        "text[]": ["a", 'b"c', None],
    }
    with server.connect(autocommit=True) as session:
        for binary in (False, True):
            for name, value in values.items():
                cursor = session.cursor(binary=binary)
                found = cursor.execute(f"select %s::{name}", [value]).fetchone()[0]
                assert found == value, (name, binary, found)


def test_parameters_without_a_type(server):
    with server.connect(autocommit=True) as session:
        session.execute("create table untyped (k char(3) primary key, c char(5), v int)")
        for k, c, v in (("a", "ab", "1"), ("b", "cd", "2")):
            insert = "insert into untyped values ($1, $2, $3) on conflict (k) do update set c = excluded.c"
            unchecked(session, insert, k, c, v)
        assert unchecked(session, "select c from untyped where k = $1", "a") == [("ab   ",)]
        unchecked(session, "update untyped set c = $1 where v = $2", "xy", "2")
        assert unchecked(session, "select k from untyped where c = $1", "xy  ") == [("b  ",)]
        assert unchecked(session, "select $1::bpchar", "ab") == [("ab",)]
        assert unchecked(session, "select interval '1 day' * $1", "2.5") == [("2 days 12:00:00",)]
        assert unchecked(session, "select timestamp '2020-01-01' + $1", "1 day") == [("2020-01-02 00:00:00",)]
        rows = unchecked(session, "select v from untyped order by v limit $1 offset $2", "1", "1")
        assert rows == [("2",)]
        assert unchecked(session, "select k from untyped where v = any($1)", "{2,7}") == [("b  ",)]
        session.execute("prepare p (char(5)) as select $1")
        assert session.execute("execute p ('ab')").fetchone() == ("ab",)
        with session.cursor().copy("copy untyped from stdin where v > 3") as copy:
            copy.write(b"c\tlow\t3\nd\thigh\t4\n")
        assert session.execute("select k from untyped where v > 2").fetchall() == [("d  ",)]


def test_a_cancelled_query_ends(server):
    endless = [
        "select count(*) from generate_series(1,100000) a, generate_series(1,100000) b",
        "select count(*) from generate_series(1,100000) a(x), generate_series(1,100000) b(y)"
        " where x + y < 0",
        "select count(*) from generate_series(1,100000) a(x) join generate_series(1,100000) b(y)"
        " on x % 2 = y % 2 and x + y < 0",
        "with recursive t(n) as (select 1 union all select n + 1 from t) select count(*) from t",
    ]
    with server.connect(autocommit=True) as session:
        for query in endless:
            timer = threading.Timer(0.3, session.cancel)
            timer.start()
            started = time.monotonic()
            try:
                session.execute(query)
                raise AssertionError("a cancelled query ended by itself")
            except psycopg.errors.QueryCanceled as error:
                assert "user request" in str(error), error
            assert time.monotonic() - started < 3, query
            timer.join()
            assert session.execute("select 1").fetchone() == (1,)


def test_statement_timeout_ends_a_query_that_computes(server):
    with server.connect(autocommit=True) as session:
        session.execute("set statement_timeout = '300ms'")
        for filtered in ("", "where x + y < 0"):
            started = time.monotonic()
            try:
                session.execute(
                    "select count(*) from generate_series(1,100000) a(x),"
                    f" generate_series(1,100000) b(y) {filtered}"
                )
                raise AssertionError("a query outlived its time")
            except psycopg.errors.QueryCanceled as error:
                assert "statement timeout" in str(error), error
            assert time.monotonic() - started < 3
            assert session.execute("select 1").fetchone() == (1,)


def test_on_conflict_with_any_unique_index(server):
    with server.connect(autocommit=True) as session:
        session.execute("create table oc (id int primary key, mail text unique, n int default 0)")
        session.execute("insert into oc values (1, 'a'), (2, 'b')")
        nothing = session.execute("insert into oc values (3, 'a') on conflict do nothing")
        assert nothing.rowcount == 0
        upsert = (
            "insert into oc values (%s, %s, 5) on conflict (mail) do update"
            " set n = oc.n + excluded.n, mail = oc.mail || '!' returning id, mail, n"
        )
        assert session.execute(upsert, [9, "b"]).fetchall() == [(2, "b!", 5)]
        assert session.execute(upsert, [9, "c"]).fetchall() == [(9, "c", 5)]
        rows = session.execute("select id, mail, n from oc order by id").fetchall()
        assert rows == [(1, "a", 0), (2, "b!", 5), (9, "c", 5)]
        # The index moved with the row.
        session.execute("insert into oc values (10, 'b')")
        try:
            session.execute(
                "insert into oc values (20, 'z'), (21, 'z') on conflict (mail) do update set n = 1"
            )
            raise AssertionError("one row was changed twice")
        except psycopg.errors.CardinalityViolation:
            pass


def test_changes_in_with_see_what_was_there_before(server):
    with server.connect(autocommit=True) as session:
        session.execute("create table queue (id int primary key, v text)")
        session.execute("create table done (id int primary key, v text)")
        session.execute("insert into queue values (1, 'a'), (2, 'b'), (3, 'c')")
        moved = session.execute(
            "with taken as (delete from queue where id < 3 returning id, v),"
            " kept as (insert into done select id, upper(v) from taken returning id)"
            " select (select count(*) from taken), (select count(*) from kept),"
            " (select count(*) from queue), (select count(*) from done)"
        ).fetchone()
        assert moved == (2, 2, 3, 0), moved
        assert session.execute("select id from queue").fetchall() == [(3,)]
        assert session.execute("select id, v from done order by id").fetchall() == [
            (1, "A"),
            (2, "B"),
        ]


def test_server_side_cursors(server):
    with server.connect() as session:
        session.execute("create table many (n int primary key)")
        session.execute("insert into many select n from generate_series(1, 1000) n")
        with session.cursor("reader") as cursor:
            cursor.itersize = 100
            cursor.execute("select n from many order by n")
            assert [row[0] for row in cursor] == list(range(1, 1001))
        with session.cursor("back", scrollable=True) as cursor:
            cursor.execute("select n from many order by n")
            cursor.scroll(10)
            assert cursor.fetchone() == (11,)
            cursor.scroll(0, mode="absolute")
            assert cursor.fetchmany(2) == [(1,), (2,)]
        with session.cursor("held", withhold=True) as cursor:
            cursor.execute("select n from many order by n")
            assert cursor.fetchmany(2) == [(1,), (2,)]
            session.commit()
            assert cursor.fetchmany(2) == [(3,), (4,)]
        session.commit()


def test_for_update_makes_a_block_fail_where_the_row_changed(server):
    with server.connect(autocommit=True) as other, server.connect() as session:
        other.execute("create table fu (id int primary key, n int)")
        other.execute("insert into fu values (1, 1), (2, 2)")
        assert session.execute("select n from fu where id = 1 for update").fetchone() == (1,)
        other.execute("update fu set n = 10 where id = 1")
        session.execute("update fu set n = 20 where id = 2")
        try:
            session.commit()
            raise AssertionError("a locked row changed unseen")
        except psycopg.errors.SerializationFailure:
            pass
        session.rollback()
        assert other.execute("select n from fu order by id").fetchall() == [(10,), (2,)]
        session.execute("select n from fu where id = 1 for update").fetchone()
        other.execute("update fu set n = 30 where id = 2")
        session.commit()


def test_altered_in_a_block_used_in_the_block(server):
    with server.connect() as session, server.connect(autocommit=True) as other:
        other.execute("create table ab (id int primary key, v text)")
        other.execute("insert into ab values (1, 'x')")
        session.execute("alter table ab add column n int not null default 7")
        assert session.execute("select id, v, n from ab").fetchall() == [(1, "x", 7)]
        session.execute("insert into ab values (2, 'y', 8)")
        session.execute("alter table ab alter column v set not null")
        session.commit()
        rows = other.execute("select id, v, n from ab order by id").fetchall()
        assert rows == [(1, "x", 7), (2, "y", 8)]
        session.execute("alter table ab drop column n")
        session.rollback()
        assert other.execute("select n from ab order by id").fetchall() == [(7,), (8,)]
        other.execute("insert into ab values (3, 'z', 9)")


def test_a_refused_alter_leaves_the_table_as_it_was(server):
    with server.connect(autocommit=True) as session:
        session.execute("create table ra (id int primary key, v text)")
        session.execute("insert into ra values (1, null)")
        for refused in (
            "alter table ra alter v set not null",
            "alter table ra add column n int not null",
            "alter table ra add constraint big check (id > 1)",
        ):
            try:
                session.execute(refused)
                raise AssertionError(refused)
            except psycopg.errors.IntegrityError:
                pass
        session.execute("insert into ra values (2, null)")
        assert session.execute("select * from ra order by id").fetchall() == [(1, None), (2, None)]
        session.execute("alter table ra add column r double precision default random()")
        assert session.execute("select count(distinct r) from ra").fetchone() == (2,)


def test_schema_changes_under_running_clients(server):
    with server.connect(autocommit=True) as session:
        session.execute("create table sc (id int primary key, n int)")
        session.execute("insert into sc values (1, 0)")

    def work(number):
        with server.connect(autocommit=True) as session:
            if number == 0:
                for step in range(5):
                    session.execute(f"alter table sc add column c{step} int default {step}")
                    session.execute("alter table sc alter n set not null")
                    session.execute("alter table sc alter n drop not null")
                return
            for _ in range(30):
                session.execute("update sc set n = n + 1 where id = 1")
                assert session.execute("select count(*) from sc").fetchone() == (1,)

    run_threads(work, 4)
    with server.connect() as session:
        assert session.execute("select n, c4 from sc").fetchone() == (90, 4)


def test_writers_beside_changes_that_read_the_table(server):
    """What was acknowledged is in the table when ADD PRIMARY KEY and CREATE UNIQUE INDEX are done, and in the index."""
    with server.connect(autocommit=True) as session:
        for change in ("alter table beside add primary key (id)", "create unique index on beside (id)"):
            session.execute("drop table if exists beside")
            session.execute("create table beside (id int, v int)")
            acknowledged = [[] for _ in range(4)]
            end = time.monotonic() + 1

            def insert(number):
                with server.connect(autocommit=True) as writer:
                    key = number
                    while time.monotonic() < end:
                        try:
                            writer.execute("insert into beside values (%s, 1)", (key,))
                            acknowledged[number].append(key)
                        except psycopg.errors.SerializationFailure:
                            pass
                        key += 4

            changing = threading.Timer(0.5, lambda: session.execute(change))
            changing.start()
            run_threads(insert, 4)
            changing.join()
            stored = {key for (key,) in session.execute("select id from beside")}
            assert set().union(*acknowledged) == stored, change
            again = session.execute("insert into beside select id, 2 from beside on conflict (id) do nothing")
            assert again.rowcount == 0, change


def test_a_truncated_table_is_there_for_others(server):
    """TRUNCATE puts another storage in the place: statements that meet it run again."""
    with server.connect(autocommit=True) as session:
        session.execute("create table emptied (id int primary key, v int)")
        end = time.monotonic() + 2

        def use(number):
            with server.connect(autocommit=True) as other:
                key = number
                while time.monotonic() < end:
                    other.execute("insert into emptied values (%s, 1)", (key,))
                    other.execute("update emptied set v = v + 1 where id = %s", (key,))
                    other.execute("select count(*) from emptied").fetchone()
                    key += 2

        def truncate(_):
            while time.monotonic() < end:
                session.execute("truncate emptied")
                time.sleep(0.1)

        run_threads(lambda number: truncate(number) if number == 2 else use(number), 3)


def test_checks_that_only_the_frontend_can_evaluate(server):
    with server.connect(autocommit=True) as session:
        session.execute(
            "create table fc (id int primary key, v text check (upper(v) = v and length(v) < 4))"
        )
        session.execute("insert into fc values (1, 'ABC'), (2, null)")
        for refused in (
            "insert into fc values (3, 'abc')",
            "insert into fc values (3, 'OK'), (4, 'TOO LONG')",
            "update fc set v = 'x' where id = 2",
            "insert into fc values (1, 'Q') on conflict (id) do update set v = lower(excluded.v)",
        ):
            try:
                session.execute(refused)
                raise AssertionError(refused)
            except psycopg.errors.CheckViolation as error:
                assert error.diag.constraint_name == "fc_v_check"
        assert session.execute("select v from fc order by id").fetchall() == [("ABC",), (None,)]


run(globals(), "psycopg tests passed", PsycopgServer)
