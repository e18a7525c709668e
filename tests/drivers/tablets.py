"""Tablets from outside: usage tablets.py TERRANE-BINARY.

Tablets are cut and joined while several sessions read and write, and by themselves where a table says how large they may be.
"""

import os
import random
import sys
import tempfile
import threading
import time

from driver_tests import run
from psycopg_sessions import PsycopgServer, run_threads

ACCOUNTS = 2_000
WRITERS = 4
CHANGES = 40


def tablets_of(session, table):
    """How many tablets a table has, whose ranges must follow one another without gaps."""
    rows = session.execute(
        "select start_key, end_key from terrane.tablets where table_name = %s order by start_key nulls first", (table,)
    ).fetchall()
    assert rows[0][0] is None and rows[-1][1] is None, rows
    assert all(before[1] == after[0] for before, after in zip(rows, rows[1:])), rows
    return len(rows)


def test_sessions_do_not_notice_splits_and_merges(server):
    """Like pgbench: each transaction changes two accounts and writes a line of history. Nothing may fail or get lost."""
    server.execute(
        "create table accounts (id int primary key, balance bigint not null)",
        "create table history (teller int, n int, delta int, primary key (teller, n))",
        f"insert into accounts select i, 0 from generate_series(0, {ACCOUNTS - 1}) g(i)",
        "checkpoint",
    )
    stop = threading.Event()
    done = [0] * WRITERS
    longest = [0.0] * WRITERS
    calm = [0.0]

    def write(number):
        if number == WRITERS:
            try:
                time.sleep(0.5)
                calm[0] = max(longest)
                longest[:] = [0.0] * WRITERS
                change_tablets(server)
            finally:
                stop.set()
            return
        draw = random.Random(number)
        with server.connect(autocommit=True, prepare_threshold=1 if number % 2 else None) as session:
            while not stop.is_set():
                began = time.monotonic()
                one, other = (draw.randrange(ACCOUNTS) for _ in range(2))
                delta = draw.randrange(100)
                with session.transaction():
                    # Neighbours whose tablets are cut apart and joined, in one commit.
                    for account, change in sorted([(one, delta), (other, -delta)]):
                        session.execute("update accounts set balance = balance + %s where id = %s", (change, account))
                    session.execute("insert into history values (%s, %s, %s)", (number, done[number], delta))
                if done[number] % 16 == 0:
                    low = draw.randrange(ACCOUNTS - 100)
                    found = session.execute("select count(*) from accounts where id between %s and %s", (low, low + 99))
                    assert found.fetchone() == (100,)
                else:
                    assert session.execute("select balance from accounts where id = %s", (one,)).fetchone() is not None
                longest[number] = max(longest[number], time.monotonic() - began)
                done[number] += 1

    run_threads(write, WRITERS + 1)
    with server.connect(autocommit=True) as session:
        assert session.execute("select count(*), sum(balance) from accounts").fetchone() == (ACCOUNTS, 0)
        assert session.execute("select count(*) from history").fetchone() == (sum(done),)
        assert min(done) > 20, done
        print(
            f"  {sum(done)} transactions; the longest took {max(longest) * 1e3:.0f} ms during {2 * CHANGES} splits and merges, "
            f"{calm[0] * 1e3:.0f} ms before"
        )


def change_tablets(server):
    draw = random.Random(7)
    edges = set()
    with server.connect(autocommit=True) as session:
        for turn in range(CHANGES):
            edge = draw.randrange(1, ACCOUNTS)
            edges.add(edge)
            made = session.execute("select terrane.split('accounts', %s)", (edge,)).fetchone()
            session.execute("select terrane.split('history', %s, %s)", (turn % WRITERS, 10 * turn + 1))
            assert made == (len(edges) + 1,), (made, edges)
            if turn % 4 == 3:
                gone = edges.pop()
                assert session.execute("select terrane.merge('accounts', %s)", (gone,)).fetchone() == (len(edges) + 1,)
                session.execute(["checkpoint", "select terrane.flush('accounts')"][turn % 2])
            assert tablets_of(session, "accounts") == len(edges) + 1
            if turn == CHANGES // 2:
                assert session.execute("select terrane.merge('accounts')").fetchone() == (1,)
                edges.clear()
        session.execute("select terrane.merge('history')")
        assert tablets_of(session, "history") == 1


def test_a_table_says_how_large_its_tablets_are(server):
    server.execute(
        "create table grown (id int primary key, body bytea) with (max_tablet_size = '256kB')",
        "create table whole (id int primary key, body bytea)",
    )
    draw = random.Random(9)
    with server.connect(autocommit=True) as session:
        for table in ["grown", "whole"]:
            with session.cursor().copy(f"copy {table} from stdin") as copy:
                # Tablets are cut between blocks, which have a thousand rows.
                for key in range(20_000):
                    copy.write_row((key, draw.randbytes(100)))
        session.execute("checkpoint")
        for _ in range(400):
            if tablets_of(session, "grown") >= 6:
                break
            time.sleep(0.05)
        assert tablets_of(session, "grown") >= 6
        assert tablets_of(session, "whole") == 1
        assert session.execute("select count(*), sum(length(body)) from grown").fetchone() == (20_000, 2_000_000)
        # What is said later counts as well.
        session.execute("alter table whole set (max_tablet_size = '512kB')")
        session.execute("insert into whole values (100000, 'x')")
        session.execute("checkpoint")
        for _ in range(400):
            if tablets_of(session, "whole") >= 3:
                break
            time.sleep(0.05)
        assert tablets_of(session, "whole") >= 3


def test_tablets_survive_kill_9_between_splits_and_merges(_):
    with tempfile.TemporaryDirectory() as directory:
        server = PsycopgServer(sys.argv[1], directory)
        server.execute(
            "create table t (id int primary key, n int not null)", "insert into t select i, 0 from generate_series(0, 999) g(i)"
        )
        draw = random.Random(11)
        added = 0
        for turn in range(3):
            with server.connect(autocommit=True) as session:
                for _ in range(5):
                    session.execute("select terrane.split('t', %s)", (draw.randrange(1, 1000),))
                    added += session.execute("update t set n = n + 1 where id %% 7 = %s", (turn,)).rowcount
                starts = session.execute(
                    "select start_key from terrane.tablets where table_name = 't' and start_key is not null"
                ).fetchall()
                assert starts
                session.execute("select terrane.merge('t', %s)", (draw.randrange(1, 1000),))
                if turn == 1:
                    session.execute("select terrane.merge('t')")
                added += session.execute("update t set n = n + 1 where id between 400 and 600").rowcount
                before = tablets_of(session, "t")
            server.process.kill()
            server.process.wait()
            server = PsycopgServer(sys.argv[1], directory)
            with server.connect(autocommit=True) as session:
                assert tablets_of(session, "t") == before
                assert session.execute("select count(*), sum(n) from t").fetchone() == (1000, added)
        assert server.stop() == 0
        checked = os.spawnl(os.P_WAIT, sys.argv[1], "terrane", "check", "--data", directory)
        assert checked == 0, checked


if __name__ == "__main__":
    run(globals(), "tests of tablets passed", PsycopgServer)
