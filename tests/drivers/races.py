"""What clients are told when they race for a row: usage races.py TERRANE-BINARY.

What one client is told to have inserted, taken or counted no other is told, whatever protocol and statement; outside of a
block nobody is asked to try again (rules 26 and 30 of the design, PostgreSQL's REPEATABLE READ).
"""

import threading
import time

import psycopg
from driver_tests import run
from psycopg.pq import ExecStatus
from psycopg_sessions import PsycopgServer, run_threads

CLIENTS = 6
KEYS = 25

EMPTY = "create table q (v int primary key, n int default 1)"
EMPTY_UNIQUE = "create table q (v int unique, n int default 1)"
FULL = f"{EMPTY}; insert into q select g, 1 from generate_series(0, {KEYS - 1}) g"

# Each client says it of each key; only one of them may be told that it did it.
ONE_WINS = [
    (EMPTY, "insert into q (v) values (%s) on conflict (v) do nothing", "INSERT 0 1"),
    (EMPTY, "insert into q (v) values (%s) on conflict do nothing returning v", "INSERT 0 1"),
    (EMPTY, "insert into q (v) select %s from generate_series(1, 1) on conflict (v) do nothing", "INSERT 0 1"),
    (EMPTY_UNIQUE, "insert into q (v) values (%s) on conflict (v) do nothing", "INSERT 0 1"),
    (EMPTY_UNIQUE, "insert into q (v) values (%s) on conflict do nothing returning v", "INSERT 0 1"),
    (FULL, "delete from q where v = %s", "DELETE 1"),
    (FULL, "delete from q where v = %s returning v", "DELETE 1"),
    (FULL, "delete from q where v + 0 = %s returning n", "DELETE 1"),
    (FULL, "update q set n = 2 where v = %s and n = 1", "UPDATE 1"),
    (FULL, "update q set n = 2 where v = %s and n = 1 returning v", "UPDATE 1"),
]

# Each client says it of each key; no two may be told the same number.
ALL_COUNT = [
    (EMPTY, "insert into q (v) values (%s) on conflict (v) do update set n = q.n + 1 returning n"),
    (EMPTY_UNIQUE, "insert into q (v) values (%s) on conflict (v) do update set n = q.n + 1 returning n"),
    (FULL, "update q set n = n + 1 where v = %s returning n"),
]


def expect_lost(attempt, statement):
    """Another commit came first, and the client is told so: 40001."""
    try:
        attempt()
    except psycopg.errors.SerializationFailure:
        return
    raise AssertionError(f"two were told that they did it: {statement}")


def raced(server, schema, table, statement, in_blocks):
    """What every client is told of every key: (tag, rows) by key. Blocks that fail with 40001 are tried again."""
    server.execute(f"create schema {schema}", f"set search_path = {schema}", table)
    told = [[] for _ in range(KEYS)]
    start = threading.Barrier(CLIENTS)

    def client(_):
        options = f"-c search_path={schema}"
        with server.connect(autocommit=not in_blocks, options=options) as session:
            for key in range(KEYS):
                start.wait()
                told[key].append(told_of(session, statement, key, in_blocks))

    run_threads(client, CLIENTS)
    return told


def told_of(session, statement, key, in_block):
    while True:
        try:
            cursor = session.execute(statement, (key,))
            rows = cursor.fetchall() if cursor.description else []
            if in_block:
                session.commit()
            return cursor.statusmessage, rows
        except psycopg.errors.SerializationFailure:
            if not in_block:
                raise
            session.rollback()


def test_one_client_is_told_that_it_won(server):
    for at, (table, statement, tag) in enumerate(ONE_WINS):
        for in_blocks in (False, True):
            told = raced(server, f"won_{at}_{int(in_blocks)}", table, statement, in_blocks)
            for key in range(KEYS):
                winners = [answer for answer in told[key] if answer[0] == tag]
                assert len(winners) == 1, (statement, in_blocks, key, told[key])


def test_no_two_clients_are_told_the_same_number(server):
    for at, (table, statement) in enumerate(ALL_COUNT):
        for in_blocks in (False, True):
            told = raced(server, f"counted_{at}_{int(in_blocks)}", table, statement, in_blocks)
            for key in range(KEYS):
                numbers = sorted(rows[0][0] for _, rows in told[key])
                first = 2 if table == FULL else 1
                expected = list(range(first, first + CLIENTS))
                assert numbers == expected, (statement, in_blocks, key, numbers)


def test_many_clients_on_one_row_see_every_number_once(server):
    server.execute("create table ticket (id int primary key, n int)", "insert into ticket values (1, 0)")
    seen = []

    def draw(_):
        with server.connect(autocommit=True) as session:
            for _ in range(10):
                statement = "update ticket set n = n + 1 where id = %s returning n"
                seen.append(session.execute(statement, (1,)).fetchone()[0])

    run_threads(draw, 32)
    assert sorted(seen) == list(range(1, 321))


def test_a_literal_is_as_good_as_a_parameter(server):
    server.execute("create table lone (id int primary key, n int)", "insert into lone values (1, 0)")
    for statement in (
        "update lone set n = n + 1 where id = 1 returning n",
        "with x as (update lone set n = n + 1 where id = 1 returning n) select n from x",
    ):
        server.execute("update lone set n = 0")
        seen = []

        def draw(_, statement=statement, seen=seen):
            with server.connect(autocommit=True) as session:
                for _ in range(10):
                    seen.append(session.execute(statement).fetchone()[0])

        run_threads(draw, CLIENTS)
        assert sorted(seen) == list(range(1, CLIENTS * 10 + 1)), statement


def test_what_a_block_reads_of_its_own_is_what_it_commits(server):
    server.execute(
        "create table own (id int primary key, n int)",
        "create table copied (n int)",
        "insert into own values (1, 0), (2, 0)",
    )
    for read in (
        "select n from own where id = 1",
        "select max(n) from own",
        "insert into copied select n from own returning n",
        "update own set n = (select max(n) from own) where id = 2 returning n",
    ):
        with server.connect() as one, server.connect(autocommit=True) as two:
            one.execute("update own set n = n + 1 where id = 1")
            one.execute(read)
            two.execute("update own set n = n + 1 where id = 1")
            expect_lost(one.commit, read)
    # Who reads nothing adds to whatever is there.
    with server.connect() as one, server.connect(autocommit=True) as two:
        before = two.execute("select n from own where id = 1").fetchone()[0]
        one.execute("update own set n = n + 1 where id = 1")
        one.execute("update own set n = n + 1 where n >= 0 and id = 1")
        two.execute("update own set n = n + 1 where id = 1")
        one.commit()
        assert two.execute("select n from own where id = 1").fetchone()[0] == before + 3


def test_blocks_are_told_at_commit(server):
    server.execute("create table claims (v int primary key, n int default 1)")
    for statement in (
        "insert into claims (v) values (1) on conflict do nothing returning v",
        "insert into claims (v) values (2) on conflict (v) do update set n = claims.n + 1 returning n",
    ):
        with server.connect() as one, server.connect() as two:
            assert one.execute(statement).fetchall() == two.execute(statement).fetchall()
            one.commit()
            expect_lost(two.commit, statement)


def test_repeatable_read_changes_nothing_that_it_has_not_seen(server):
    with server.connect(autocommit=True) as other:
        other.execute("create table rr (a int primary key, b int)")
        for theirs, ours in (
            ("update rr set b = 99 where a = 1", "update rr set b = 11 where a = 1"),
            ("update rr set b = 99 where a = 1", "update rr set b = b + 1 where a = 1 returning b"),
            ("update rr set b = 99 where a = 1", "update rr set b = b + 1"),
            ("update rr set b = 99 where a = 1", "delete from rr where b < 15"),
            ("update rr set b = 99 where a = 1", "select b from rr where a = 1 for update"),
            ("delete from rr where a = 1", "update rr set b = 5 where a = 1"),
            ("insert into rr values (3, 30)", "insert into rr values (3, 31) on conflict do nothing"),
            ("insert into rr values (3, 30)", "insert into rr values (3, 31) on conflict (a) do update set b = 0"),
        ):
            other.execute("truncate rr")
            other.execute("insert into rr values (1, 10), (2, 20)")
            with server.connect() as session:
                session.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
                assert session.execute("select * from rr").fetchall() == [(1, 10), (2, 20)]
                other.execute(theirs)
                before = other.execute("select * from rr order by a").fetchall()
                expect_lost(lambda: session.execute(ours), ours)
                session.rollback()
                assert other.execute("select * from rr order by a").fetchall() == before
        # What nobody else has changed, it changes.
        with server.connect() as session:
            session.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
            session.execute("select * from rr")
            other.execute("update rr set b = 21 where a = 2")
            session.execute("update rr set b = b + 1 where a = 1")
            session.commit()
        assert other.execute("select b from rr where a < 3 order by a").fetchall() == [(11,), (21,)]


def test_a_sync_that_comes_late_asks_nobody_to_try_again(server):
    server.execute("create table late (id int primary key, n int)", "insert into late values (1, 0)")
    seen = []

    def draw(_):
        with server.connect(autocommit=True) as session:
            pgconn = session.pgconn
            pgconn.enter_pipeline_mode()
            for _ in range(10):
                pgconn.send_query_params(b"update late set n = n + 1 where id = 1 returning n", None)
                pgconn.flush()
                time.sleep(0.002)
                pgconn.pipeline_sync()
                result = pgconn.get_result()
                assert result.status == ExecStatus.TUPLES_OK, result.error_message
                seen.append(int(result.get_value(0, 0)))
                assert pgconn.get_result() is None
                assert pgconn.get_result().status == ExecStatus.PIPELINE_SYNC

    run_threads(draw, CLIENTS)
    assert sorted(seen) == list(range(1, CLIENTS * 10 + 1)), seen


def test_a_statement_in_a_block_looks_again_at_rows_that_others_change(server):
    server.execute("create table looked (id int primary key, n int)", "insert into looked values (1, 0)")
    done = []

    def add(_):
        with server.connect() as session:
            for _ in range(20):
                # Values that only a plan can compute: 40001 may come from COMMIT, not from here.
                session.execute("update looked set n = n + (select 1) where id = 1")
                try:
                    session.commit()
                    done.append(1)
                except psycopg.errors.SerializationFailure:
                    session.rollback()

    run_threads(add, CLIENTS)
    with server.connect() as session:
        assert session.execute("select n from looked").fetchone()[0] == len(done) > 0


def test_a_row_is_changed_once_in_a_statement(server):
    with server.connect() as session:
        session.execute("create table once (id int primary key, n int)")
        session.execute("insert into once values (1, 0), (2, 0)")
        for first, second, told, left in (
            # What nothing refers to runs last.
            ("update once set n = n + 1 where id = 1", "update once set n = n + 10 where id = 1", [(10,)], [10, 0]),
            ("delete from once", "update once set n = 5 where id = 1", [(5,)], [5]),
            ("update once set n = 1 where id = 1 returning n", "update once set n = 7 where n < (select 9 from a)", [], [1]),
            ("update once set n = 2 where id = 1 returning n", "delete from once where exists (select 9 from a)", [], [2]),
        ):
            statement = f"with a as ({first}) {second} returning n"
            assert session.execute(statement).fetchall() == told, statement
            assert [n for (n,) in session.execute("select n from once order by id")] == left, statement
        session.commit()
        # A row that is there, and whose DO UPDATE has a WHERE that does not hold, may come twice.
        twice = "insert into once values (1, 1), (1, 2) on conflict (id) do update set n = 9 where once.n > 5"
        assert session.execute(twice).statusmessage == "INSERT 0 0"
        for statement in (
            "insert into once values (1, 1), (1, 2) on conflict (id) do update set n = 9",
            "insert into once values (7, 1), (7, 2) on conflict (id) do update set n = 9 where once.n > 5",
            "with a as (insert into once values (8, 0) returning id) "
            "insert into once select id, 1 from a on conflict (id) do update set n = 9",
        ):
            session.execute("savepoint s")
            try:
                session.execute(statement)
                raise AssertionError(statement)
            except psycopg.errors.CardinalityViolation:
                session.execute("rollback to s")


def test_a_unique_value_is_not_in_the_way_of_its_own_row(server):
    flipped = "case when u = 'x' then 'y' else 'x' end"
    server.execute("create table named (id int primary key, n int, u text unique)")
    for statement in (
        "update named set n = n + 1 where id = 1",
        "update named set n = n + 1, u = 'x' where id = 1",
        f"update named set n = n + 1, u = {flipped} where id = 1",
        f"update named set n = n + 1, u = {flipped} where id = 1 returning n",
        f"insert into named values (1, 0, 'q') on conflict (id) do update set n = named.n + 1, u = {flipped.replace('u =', 'named.u =')}",
    ):
        server.execute("delete from named", "insert into named values (1, 0, null)")

        def add(number, statement=statement):
            with server.connect(autocommit=True) as session:
                for _ in range(20):
                    session.execute(statement, prepare=number % 2 > 0)

        run_threads(add, CLIENTS)
        with server.connect() as session:
            assert session.execute("select n from named").fetchone() == (CLIENTS * 20,), statement


def test_what_is_committed_is_not_told_to_be_cancelled(server):
    with server.connect(autocommit=True) as session:
        session.execute("create table timed (id int primary key, n int)")
        session.execute("insert into timed values (1, 0)")
        told = 0
        for number in range(200):
            session.execute(f"set statement_timeout = {1 + number % 9}")
            for statement in (
                "update timed set n = n + 1 where id = 1 returning n",
                "with u as (update timed set n = n + 1 where id = 1 returning n) select n from u",
            ):
                try:
                    session.execute(statement)
                    told += 1
                except psycopg.errors.QueryCanceled:
                    pass
        session.execute("set statement_timeout = 0")
        assert session.execute("select n from timed").fetchone() == (told,)
        # What fails in the rows beside a change fails before it is committed.
        try:
            session.execute(
                "with u as (update timed set n = -1 where id = 1 returning n) "
                "select 1 / (20000 - g) from u, generate_series(1, 30000) g"
            )
            raise AssertionError("a division by zero was not told")
        except psycopg.errors.DivisionByZero:
            pass
        assert session.execute("select n from timed").fetchone() == (told,)


def test_many_clients_make_a_table_that_may_be_there(server):
    start = threading.Barrier(CLIENTS)

    def make(number):
        with server.connect(autocommit=True) as session:
            for at in range(10):
                start.wait()
                session.execute(f"create table if not exists made_{at} (id int primary key, n int)", prepare=number % 2 > 0)
                session.execute(f"create index if not exists made_{at}_n on made_{at} (n)")
                session.execute(f"insert into made_{at} values (%s, 0)", (number,))

    run_threads(make, CLIENTS)
    with server.connect() as session:
        for at in range(10):
            assert session.execute(f"select count(*) from made_{at}").fetchone() == (CLIENTS,)


run(globals(), "race tests passed", PsycopgServer)
