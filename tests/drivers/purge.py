"""Purging from outside: usage purge.py TERRANE-BINARY.

A table with `purge_within` promises that what was deleted, overwritten or has expired is in no file by then (rule 13 of the
design). Here random markers of 32 bytes are written, killed in every way there is, and searched for in every file of the data
directory, and in every file that the process still has open. About two minutes pass.
"""

import os
import pathlib
import secrets
import sys
import tempfile
import time

import psycopg
from driver_tests import run
from psycopg_sessions import PsycopgServer

# What the tables here promise, in seconds.
WITHIN = 8
PROMISE = f"history = '0', purge_within = '{WITHIN} seconds'"
# Stored as it is, so that it would be found.
PLAIN = "locality group default with (compression = 'none')"


def marker():
    return secrets.token_hex(16)


def files(server):
    """Every file of the data directory, and what the process has open of removed ones."""
    for path in pathlib.Path(server.directory).rglob("*"):
        if path.is_file():
            yield path
    descriptors = pathlib.Path(f"/proc/{server.process.pid}/fd")
    for path in descriptors.iterdir() if descriptors.exists() else []:
        try:
            if os.readlink(path).endswith("(deleted)"):
                yield path
        except OSError:
            continue


def found(server, markers):
    """Of each marker that is there the files that have it."""
    where = {}
    for path in files(server):
        try:
            data = path.read_bytes()
        except OSError:
            continue
        for wanted in markers:
            if wanted.encode() in data:
                where.setdefault(wanted, []).append(str(path))
    return where


def gone(server, markers, since, what):
    """By the deadline they are nowhere."""
    time.sleep(max(0.0, since + WITHIN - time.monotonic()))
    left = found(server, markers)
    assert not left, (what, left)


def there(server, markers, what):
    for _ in range(5):
        # A file may go while another one that has the same is made, unseen.
        left = found(server, markers)
        missing = [wanted for wanted in markers if wanted not in left]
        if not missing:
            return
    raise AssertionError((what, missing, "cannot be found at all"))


def test_every_kind_of_delete(server):
    """Rows, cells, map entries, keys, ranges of keys and values of a unique column, with each codec."""
    with server.connect(autocommit=True) as session:
        for codec in ["none", "lz4", "zstd"]:
            session.execute("drop table if exists t")
            session.execute(
                f"create table t (k text primary key, v text, u text unique, m hstore, "
                f"locality group default with (compression = '{codec}')) with ({PROMISE})"
            )
            dead = {name: marker() for name in ["row key", "row", "cell", "unique", "entry", "entry key", "range"]}
            alive = [marker() for _ in range(2)]
            session.execute(
                "insert into t values (%s, 'a', 'a', null), ('b', %s, 'b', null), ('c', %s, %s, hstore(%s, %s)), "
                "('d', 'x', 'd', hstore('k', 'x')), ('r' || %s, 'x', 'r', null), ('z' || %s, %s, 'z', null)",
                (
                    dead["row key"], dead["row"], dead["cell"], dead["unique"], dead["entry key"], dead["entry"],
                    dead["range"], *alive,
                ),
            )
            if codec == "none":
                there(server, [*dead.values(), *alive], "in the log")
            session.execute("checkpoint")
            session.execute("delete from t where k = %s", (dead["row key"],))
            session.execute("delete from t where k = 'b'")
            session.execute("update t set v = 'other', u = 'other' where k = 'c'")
            session.execute("update t set m = delete(m, %s) where k = 'c'", (dead["entry key"],))
            session.execute("delete from t where k >= 'r' and k < 's'")
            since = time.monotonic()
            gone(server, dead.values(), since, codec)
            if codec == "none":
                there(server, alive, "after the purge")
            assert session.execute("select count(*) from t where v = %s", (alive[1],)).fetchone() == (1,)
            assert session.execute("select k from t where u = 'other'").fetchall() == [("c",)]


def test_what_is_dropped_and_truncated(server):
    """Columns, families, all rows, tables: their bytes in the log, too."""
    with server.connect(autocommit=True) as session:
        session.execute(
            f"create table t_dropped (k int primary key, last text, m hstore, family f (m), {PLAIN}) with ({PROMISE})"
        )
        session.execute(f"create table t_gone (k text primary key, {PLAIN}) with ({PROMISE})")
        session.execute(f"create table t_empty (k text primary key, {PLAIN}) with ({PROMISE})")
        session.execute("alter table t_dropped add column later text")
        column, later, entry, table, row = (marker() for _ in range(5))
        session.execute(
            "insert into t_dropped values (1, %s, hstore('k', %s), %s)", (column, entry, later)
        )
        session.execute("insert into t_gone values (%s)", (table,))
        session.execute("insert into t_empty values (%s)", (row,))
        there(server, [column, later, entry, table, row], "in the log")
        session.execute("alter table t_dropped drop column later")
        session.execute("alter table t_dropped drop column last, drop column m")
        session.execute("drop table t_gone")
        session.execute("truncate t_empty")
        since = time.monotonic()
        gone(server, [column, later, entry, table, row], since, "dropped")
        assert session.execute("select * from t_dropped").fetchall() == [(1,)]


def test_what_expires(server):
    """Cells that reach their age, and versions that are too many."""
    with server.connect(autocommit=True) as session:
        session.execute(
            f"create table t_ends (k int primary key, a text, b text, {PLAIN}, "
            f"family fa (a) with (ttl = '4 seconds', compression = 'none'), "
            f"family fb (b) with (max_versions = 2, compression = 'none')) with ({PROMISE})"
        )
        ends = marker()
        versions = [marker() for _ in range(3)]
        session.execute("insert into t_ends values (1, %s, %s)", (ends, versions[0]))
        written = time.monotonic()
        # Looked for while they live: what is dead may go long before the deadline.
        there(server, [ends, versions[0]], "in the log")
        for version in versions[1:]:
            session.execute("update t_ends set b = %s where k = 1", (version,))
            there(server, [version], "in the log")
        gone(server, [ends, versions[0]], written + 4, "expired")
        there(server, versions[1:], "kept")


def test_a_split_and_a_merge(server):
    """Both children of a split let go of what one of them had."""
    with server.connect(autocommit=True) as session:
        session.execute(f"create table t_cut (k text primary key, v text, {PLAIN}) with ({PROMISE})")
        values = {key: marker() for key in "abcdwxyz"}
        session.cursor().executemany("insert into t_cut values (%s, %s)", list(values.items()))
        session.execute("checkpoint")
        session.execute("select terrane.split('t_cut', 'm')")
        session.execute("delete from t_cut where k in ('a', 'z')")
        since = time.monotonic()
        gone(server, [values["a"], values["z"]], since, "after a split")
        assert session.execute("select count(*) from t_cut").fetchone() == (6,)
        session.execute("delete from t_cut where k in ('b', 'y')")
        since = time.monotonic()
        session.execute("select terrane.merge('t_cut', 'm')")
        gone(server, [values["b"], values["y"]], since, "after a merge")
        there(server, [values["c"], values["x"]], "kept")


def test_an_open_cursor_does_not_hold_it_back(server):
    """It is ended with 72000, or has all of its rows in memory; no file is kept for it."""
    with server.connect(autocommit=True) as session, server.connect() as reader:
        session.execute(f"create table t_read (k int primary key, v text, {PLAIN}) with ({PROMISE})")
        last = marker()
        session.execute("insert into t_read select i, repeat(md5(i::text), 8) from generate_series(1, 50000) i")
        session.execute("update t_read set v = %s where k = 50000", (last,))
        session.execute("checkpoint")
        reader.execute("set transaction isolation level repeatable read")
        reader.execute("declare c cursor for select k, v from t_read")
        reader.execute("fetch 10 from c")
        session.execute("delete from t_read where k = 50000")
        since = time.monotonic()
        time.sleep(WITHIN / 4)
        waits = session.execute("select open_read is not null, deadline > now() from terrane.purge_status "
                                "where table_name = 't_read'").fetchone()
        assert waits == (True, True), waits
        gone(server, [last], since, "an open cursor")
        try:
            reader.execute("select v from t_read where k = 50000")
            raise AssertionError("a read of what is purged")
        except psycopg.Error as error:
            assert error.sqlstate == "72000", error
        reader.rollback()
        assert session.execute("select count(*) from t_read").fetchone() == (49999,)


def test_the_promise_can_be_made_later(server):
    """What was dead before is purged then; segments of the log that are kept for reuse, too."""
    with server.connect(autocommit=True) as session:
        session.execute(f"create table t_later (k int primary key, v text, {PLAIN}) with (history = '0')")
        dead = marker()
        session.execute("insert into t_later values (1, %s)", (dead,))
        session.execute("delete from t_later")
        session.execute(f"alter table t_later set (purge_within = '{WITHIN} seconds')")
        since = time.monotonic()
        gone(server, [dead], since, "before the promise")
        status = session.execute(
            "select within_seconds, purged_to <= now(), oldest_pending, deadline, last_purge <= now(), open_read, error "
            "from terrane.purge_status where table_name = 't_later'"
        ).fetchall()
        assert status == [(float(WITHIN), True, None, None, True, None, None)], status
        session.execute("alter table t_later reset (purge_within)")
        assert session.execute("select count(*) from terrane.purge_status where table_name = 't_later'").fetchone() == (0,)


def test_kills(server):
    """A server that is killed again and again purges in time all the same, and loses nothing."""
    with tempfile.TemporaryDirectory() as directory:
        own = PsycopgServer(sys.argv[1], directory)
        with own.connect(autocommit=True) as session:
            session.execute(f"create table t (k int primary key, v text, {PLAIN}) with ({PROMISE})")
        alive = {}
        for turn in range(6):
            dead = [marker() for _ in range(4)]
            with own.connect(autocommit=True) as session:
                for number, value in enumerate(dead):
                    session.execute("insert into t values (%s, %s)", (number, value))
                alive[100 + turn] = marker()
                session.execute("insert into t values (%s, %s)", (100 + turn, alive[100 + turn]))
                if turn % 2:
                    session.execute("checkpoint")
                if turn == 3:
                    session.execute("select terrane.split('t', 50)")
                session.execute("delete from t where k < 100")
            since = time.monotonic()
            # At some moment before, in, or after the purge.
            time.sleep(turn * WITHIN / 8)
            own.process.kill()
            own.process.wait()
            own = PsycopgServer(sys.argv[1], directory)
            # While it did not run it could not purge.
            since = max(since, time.monotonic() - WITHIN * 3 / 4)
            gone(own, dead, since, f"killed after {turn}")
            there(own, alive.values(), "kept")
            with own.connect(autocommit=True) as session:
                assert dict(session.execute("select k, v from t").fetchall()) == alive
        # A table that is dropped just before leaves no tablet behind that knows of it.
        with own.connect(autocommit=True) as session:
            session.execute("drop table t")
        since = time.monotonic()
        own.process.kill()
        own.process.wait()
        own = PsycopgServer(sys.argv[1], directory)
        since = max(since, time.monotonic() - WITHIN * 3 / 4)
        gone(own, alive.values(), since, "dropped and killed")
        assert own.stop() == 0


if __name__ == "__main__":
    run(globals(), "tests of purging passed", PsycopgServer)
