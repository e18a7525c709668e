"""Versions and expiry from outside: usage versions.py TERRANE-BINARY.

What a family keeps is decided when it is read: by the clock, also where nobody writes, and whatever has been flushed or
compacted. A few seconds pass.
"""

import contextlib
import datetime
import random
import time

import psycopg

from driver_tests import run
from psycopg_sessions import PsycopgServer


@contextlib.contextmanager
def session(server):
    """A session, without the tables of the tests before."""
    with server.connect(autocommit=True) as opened:
        opened.execute("drop table if exists t, s")
        yield opened


def rows(opened, query):
    """A query's rows."""
    return opened.execute(query).fetchall()


def stored_everywhere(opened, table):
    """Yields once as things are, once after a flush, and once after a compaction."""
    yield "as written"
    opened.execute("checkpoint")
    yield "after CHECKPOINT"
    opened.execute(f"vacuum {table}")
    yield "after VACUUM"


def test_cells_expire_by_the_clock(server):
    """A cell that is as old as its family's ttl reads as NULL, by key and in scans, though nobody writes."""
    with session(server) as opened:
        opened.execute(
            "create table t (k int primary key, a text, b text, c int, "
            "family f (b, c) with (ttl = '4 seconds'))"
        )
        opened.execute("insert into t values (1, 'a1', 'b1', 1), (2, 'a2', 'b2', 2)")
        inserted = time.monotonic()
        assert rows(opened, "select * from t order by k") == [(1, "a1", "b1", 1), (2, "a2", "b2", 2)]
        assert rows(opened, "select b from t where k = 1") == [("b1",)]
        time.sleep(2.2)
        opened.execute("update t set b = 'new' where k = 2")
        updated = time.monotonic()
        for when in stored_everywhere(opened, "t"):
            assert rows(opened, "select b from t where k = 1") == [("b1",)], when
        time.sleep(max(0.0, inserted + 4.05 - time.monotonic()))
        # Those of row 1 have expired, and of row 2 the one that was not written again.
        for when in stored_everywhere(opened, "t"):
            found = rows(opened, "select * from t order by k")
            assert found == [(1, "a1", None, None), (2, "a2", "new", None)], (when, found)
            assert rows(opened, "select k, b from t where b is not null") == [(2, "new")], when
            assert rows(opened, "select k from t where c is null order by k") == [(1,), (2,)], when
            assert rows(opened, "select k from t where b = 'b1'") == [], when
            assert rows(opened, "select b, c from t where k = 1") == [(None, None)], when
            cells = rows(opened, "select k, _qualifier from t(cells => true) order by 1, 2")
            assert cells == [(1, "a"), (2, "a"), (2, "b")], (when, cells)
        time.sleep(max(0.0, updated + 4.1 - time.monotonic()))
        assert rows(opened, "select b from t where k = 2") == [(None,)]
        # An expired cell counts as none in an UPDATE, too.
        opened.execute("update t set b = coalesce(b, 'fresh') where k = 2")
        assert rows(opened, "select b from t where k = 2") == [("fresh",)]


def test_rows_end_with_the_default_family(server):
    """With a ttl of family default a row ends so long after it was last written, as a whole."""
    with session(server) as opened:
        opened.execute(
            "create table s (token text primary key, who text not null, seen int, note text family other, "
            "family \"default\" with (ttl = '4 seconds'), family other with (block_size = '4kB')) "
            "with (history = '0')"
        )
        opened.execute("insert into s values ('a', 'ann', 0, 'x'), ('b', 'bob', 0, 'y')")
        inserted = time.monotonic()
        time.sleep(2.2)
        assert opened.execute("update s set seen = seen + 1 where token = 'b'").rowcount == 1
        updated = time.monotonic()
        time.sleep(max(0.0, inserted + 4.05 - time.monotonic()))
        for when in stored_everywhere(opened, "s"):
            assert rows(opened, "select token, who, seen, note from s") == [("b", "bob", 1, "y")], when
            assert rows(opened, "select count(*) from s") == [(1,)], when
            assert rows(opened, "select note from s") == [("y",)], when
            assert rows(opened, "select * from s where token = 'a'") == [], when
            assert rows(opened, "select count(*) from s(cells => true) where token = 'a'") == [(0,)]
        assert opened.execute("update s set seen = 7 where token = 'a'").rowcount == 0
        assert opened.execute("delete from s where token = 'a'").rowcount == 0
        opened.execute("insert into s values ('a', 'eve', 0, null)")
        assert rows(opened, "select who, note from s where token = 'a'") == [("eve", None)]
        with contextlib.suppress(psycopg.errors.UniqueViolation):
            opened.execute("insert into s values ('a', 'eve', 0, null)")
            raise AssertionError("the row is there")
        opened.execute("delete from s where token = 'a'")
        time.sleep(max(0.0, updated + 5 - time.monotonic()))
        assert rows(opened, "select count(*) from s") == [(0,)]
        opened.execute("vacuum s")
        left = rows(opened, "select sum(rows) from terrane.tablets where table_name = 's'")
        assert left in ([(0,)], [(None,)]), left


def test_alter_counts_at_once(server):
    """A policy counts from the statement after the one that made it."""
    with session(server) as opened:
        opened.execute(
            "create table t (k int primary key, v int, family f (v) with (max_versions = 3)) "
            "with (history = '0')"
        )
        opened.execute("insert into t values (1, 0)")
        for value in range(1, 5):
            opened.execute("update t set v = %s", (value,))
        history = "select v from t(with_history => true) order by _timestamp desc"
        assert rows(opened, history) == [(4,), (3,), (2,)]
        time.sleep(1.1)
        opened.execute("alter table t alter family f set (ttl = '1 second')")
        assert rows(opened, "select v from t") == [(None,)]
        opened.execute("alter table t alter family f set (gc = 'all')")
        assert rows(opened, history) == [(4,), (3,), (2,)]
        opened.execute("alter table t alter family f set (max_versions = 1)")
        assert rows(opened, history) == [(4,)]
        opened.execute("alter table t alter family f reset (ttl, gc), alter family f set (max_versions = 2)")
        assert rows(opened, history) == [(4,), (3,)]
        opened.execute("vacuum t")
        assert rows(opened, history) == [(4,), (3,)]


def test_the_past_has_its_own_ages(server):
    """A read AS OF a time sees what had not expired then."""
    with session(server) as opened:
        opened.execute("create table t (k int primary key, v text, family f (v) with (ttl = '1 second'))")
        opened.execute("insert into t values (1, 'one')")
        then = rows(opened, "select now()")[0][0]
        time.sleep(1.2)
        assert rows(opened, "select v from t") == [(None,)]
        opened.execute("checkpoint")
        as_of = f"select v from t for system_time as of '{then.isoformat()}'"
        assert rows(opened, as_of) == [("one",)]
        opened.execute(f"set terrane.read_timestamp = '{then.isoformat()}'")
        assert rows(opened, "select v from t") == [("one",)]
        assert rows(opened, "select _value from t(cells => true)") == [("one",)]


def test_after_and_before_are_parameters(server):
    """Times of versions come from parameters, as text and as timestamps."""
    with session(server) as opened:
        opened.execute("create table t (k int primary key, v int, family f (v) with (max_versions = 9))")
        opened.execute("insert into t values (1, 0)")
        times = []
        for value in range(1, 4):
            opened.execute("update t set v = %s", (value,))
            times += rows(opened, "select _timestamp from t")[0]
        query = "select v from t(with_history => true, after => %s, before => %s) order by v"
        found = opened.execute(query, (times[0], times[2])).fetchall()
        assert found == [(2,)], found
        for _ in range(7):
            # Often enough for the driver to prepare it.
            found = opened.execute(query, (times[1], times[2])).fetchall()
            assert found == [], found


COLUMNS = ("a", "b", "c")


def everything(opened):
    """All that can be seen of the table."""
    return (
        rows(opened, "select * from t order by k"),
        rows(opened, "select * from t(with_history => true) order by k, _timestamp desc"),
        rows(opened, "select * from t(cells => true) order by k, _qualifier, _timestamp desc"),
        rows(opened, "select * from t(cells => true, latest_n => 1) order by k, _qualifier"),
        rows(opened, "select k, _timestamp from t order by k"),
    )


def change(opened, draw, model, kept):
    """One statement, and the same to the model: of each row its columns' values, newest first."""
    key = draw.randrange(12)
    kind = draw.random()
    if key not in model:
        values = {column: draw.randrange(100) for column in COLUMNS}
        opened.execute("insert into t values (%s, %s, %s, %s)", (key, *values.values()))
        model[key] = {column: [value] for column, value in values.items()}
    elif kind < 0.15:
        opened.execute("delete from t where k = %s", (key,))
        del model[key]
    elif kind < 0.2:
        opened.execute("delete from t where k between %s and %s", (key, key + 2))
        for gone in range(key, key + 3):
            model.pop(gone, None)
    else:
        column = draw.choice(COLUMNS)
        value = draw.choice([None, *range(100)])
        opened.execute(f"update t set {column} = %s where k = %s", (value, key))
        model[key][column] = [value, *model[key][column]][: kept[column]]


def test_no_answer_depends_on_what_was_compacted(server):
    """Random changes, against a model; each query answers the same before and after a flush and a compaction."""
    for seed in range(3):
        draw = random.Random(seed)
        kept = {"a": 1, "b": 3, "c": draw.choice([1, 2, 5])}
        apart = draw.choice(["", ", block_size = '4kB'"])
        with session(server) as opened:
            opened.execute(
                "create table t (k int primary key, a int, b int, c int, "
                f"family b (b) with (max_versions = 3{apart}), "
                f"family c (c) with (max_versions = {kept['c']})) with (history = '0')"
            )
            model = {}
            for _ in range(8):
                for _ in range(30):
                    change(opened, draw, model, kept)
                before = everything(opened)
                cells = [
                    (key, column, None if value is None else str(value))
                    for key, columns in sorted(model.items())
                    for column, values in sorted(columns.items())
                    for value in values
                ]
                found = [(row[0], row[2], row[4]) for row in before[2]]
                assert found == cells, (seed, found, cells)
                for statement in ("checkpoint", "vacuum t"):
                    if draw.random() < 0.6:
                        opened.execute(statement)
                        after = everything(opened)
                        assert after == before, (seed, statement, before, after)


def test_timestamps_of_the_client(server):
    """Written out of order, in blocks, batches and by COPY: the newest is the one with the greatest timestamp."""
    with session(server) as opened:
        opened.execute("set timezone = 'UTC'")
        opened.execute(
            "create table t (k int primary key, a text, v int, w int, "
            "family samples (v, w) with (timestamps = 'client', max_versions = 4))"
        )
        opened.execute("create table s (k int primary key, v int)")
        start = datetime.datetime(2020, 1, 1, tzinfo=datetime.timezone.utc)

        def at(second):
            return start + datetime.timedelta(seconds=second)

        with opened.cursor() as cursor:
            with cursor.copy("copy t (k, v, _timestamp) from stdin") as copy:
                for key in range(20):
                    copy.write_row((key, key, at(10)))
            seconds = [5, 20, 1, 15, 9, 30, 2]
            cursor.executemany(
                "update t set v = %s, _timestamp = %s where k = %s",
                [(second, at(second), key) for second in seconds for key in range(5)],
            )
        cells = "select v, _timestamp from t(with_history => true) where k = %s order by 2 desc"
        for when in stored_everywhere(opened, "t"):
            assert rows(opened, "select v from t where k in (3, 9) order by k") == [(30,), (9,)], when
            found = opened.execute(cells, (3,)).fetchall()
            assert found == [(30, at(30)), (20, at(20)), (15, at(15)), (3, at(10))], (when, found)
        with opened.transaction():
            opened.execute("update t set v = 40, _timestamp = %s where k = 3", (at(40),))
            opened.execute("update t set v = 35, _timestamp = %s where k = 3", (at(35),))
            assert rows(opened, "select v from t where k = 3") == [(40,)]
        found = opened.execute(cells, (3,)).fetchall()
        assert found == [(40, at(40)), (35, at(35)), (30, at(30)), (20, at(20))], found
        # AS OF goes by commits: what is dated earlier and committed later is not of then.
        before = rows(opened, "select clock_timestamp()")[0][0]
        time.sleep(0.01)
        opened.execute("update t set w = 1, _timestamp = %s where k = 3", (at(1),))
        past = "select w from t for system_time as of %s where k = 3"
        assert opened.execute(past, (before,)).fetchall() == [(None,)]
        assert rows(opened, "select w from t where k = 3") == [(1,)]
        for value in (at(0).replace(year=3000), "infinity"):
            try:
                opened.execute("update t set w = 2, _timestamp = %s where k = 3", (value,))
                raise AssertionError(f"{value} was taken")
            except psycopg.errors.DatetimeFieldOverflow:
                pass
        for statement in (
            "insert into s (k, v, _timestamp) values (1, 1, now())",
            "update s set _timestamp = now()",
            "copy s (k, _timestamp) from stdin",
        ):
            try:
                opened.execute(statement)
                raise AssertionError(statement)
            except psycopg.errors.FeatureNotSupported:
                pass


def test_a_delete_hides_what_was_committed_before_it(server):
    """Whatever the timestamps, and whether a compaction has taken the delete or not."""
    for compacts in (False, True):
        with session(server) as opened:
            opened.execute(
                "create table t (k int primary key, v int, "
                "family f (v) with (timestamps = 'client')) with (history = '0')"
            )
            opened.execute("insert into t (k, v, _timestamp) values (1, 9, '2020-01-01 00:00:09')")
            opened.execute("delete from t where k = 1")
            if compacts:
                opened.execute("checkpoint")
                opened.execute("vacuum t")
            opened.execute("insert into t (k, v, _timestamp) values (1, 5, '2020-01-01 00:00:05')")
            opened.execute("update t set v = 4, _timestamp = '2020-01-01 00:00:04' where k = 1")
            for when in stored_everywhere(opened, "t"):
                assert rows(opened, "select v from t") == [(5,)], (compacts, when)
                cells = rows(opened, "select _value from t(cells => true)")
                assert cells == [("5",)], (compacts, when)


def test_versions_of_map_entries(server):
    """Each entry has its own; AS OF beside them; a removal ends them."""
    with session(server) as opened:
        opened.execute(
            "create table t (k int primary key, m hstore, family m with (max_versions = 3))"
        )
        opened.execute("insert into t values (1, 'a=>0, b=>0')")
        for value in range(1, 6):
            opened.execute("update t set m['a'] = %s where k = 1", (str(value),))
        middle = rows(opened, "select clock_timestamp()")[0][0]
        time.sleep(0.01)
        opened.execute("update t set m['a'] = '6' where k = 1")
        cells = "select _qualifier, _value from t(cells => true) order by 1, _timestamp desc"
        history = "select m -> 'a' from t(with_history => true) order by _timestamp desc"
        past = "select m -> 'a' from t for system_time as of %s"
        for when in ("as written", "checkpoint"):
            if when == "checkpoint":
                opened.execute(when)
            assert rows(opened, cells) == [("a", "6"), ("a", "5"), ("a", "4"), ("b", "0")], when
            assert rows(opened, history) == [("6",), ("5",), ("4",), (None,)], when
            assert opened.execute(past, (middle,)).fetchall() == [("5",)], when
        opened.execute("vacuum t")
        assert rows(opened, cells) == [("a", "6"), ("a", "5"), ("a", "4"), ("b", "0")]
        opened.execute("update t set m = m - 'a'")
        assert rows(opened, cells) == [("b", "0")]


if __name__ == "__main__":
    run(globals(), "tests of versions passed", PsycopgServer)
