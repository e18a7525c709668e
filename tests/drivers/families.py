"""Families and locality groups from outside: usage families.py TERRANE-BINARY.

What a query reads of a table's files is counted by the system, in /proc; families come and go while writers run.
"""

import contextlib
import os
import random
import re
import sys
import tempfile
import threading
import time

from driver_tests import run
from psycopg_sessions import PsycopgServer, run_threads

ROWS = 400
LARGE_BYTES = 25_000


def bytes_read(server):
    """Bytes that the process has asked of files so far, cached by the system or not."""
    with open(f"/proc/{server.process.pid}/io", encoding="ascii") as io:
        counts = dict(line.split(": ") for line in io.read().splitlines())
    return int(counts["rchar"])


def spent(server, session, query):
    """A query's rows, and the bytes that were read meanwhile."""
    before = bytes_read(server)
    found = session.execute(query).fetchall()
    return found, bytes_read(server) - before


@contextlib.contextmanager
def with_pages(options):
    """A server that has just started on a table of small columns and a large one, 10 MB."""
    with tempfile.TemporaryDirectory() as directory:
        server = loaded(directory, options)
        try:
            yield server
        finally:
            assert server.stop() == 0


def loaded(directory, options):
    server = PsycopgServer(sys.argv[1], directory)
    draw = random.Random(3)
    with server.connect(autocommit=True) as session:
        session.execute(
            "create table pages (id int primary key, n int, body bytea family body, "
            f"family small (n) {options}, family body with (compression = 'none'))"
        )
        with session.cursor().copy("copy pages (id, n, body) from stdin") as copy:
            for key in range(ROWS):
                copy.write_row((key, key % 10, draw.randbytes(LARGE_BYTES)))
        session.execute("vacuum pages")
    assert server.stop() == 0
    return PsycopgServer(sys.argv[1], directory)


def test_a_query_reads_the_groups_of_its_columns_only(_):
    with with_pages("") as server:
        with server.connect(autocommit=True) as session:
            session.execute("select 1")
            found, read = spent(server, session, "select sum(n), count(*) from pages")
            assert found == [(1800, ROWS)] and read < 200_000, read
            found, read = spent(server, session, "select length(body) from pages where n = 3 and id < 20")
            assert found == [(LARGE_BYTES,), (LARGE_BYTES,)] and read < 40 * LARGE_BYTES, read
            found, read = spent(server, session, "select sum(length(body)) from pages")
            assert found == [(ROWS * LARGE_BYTES,)] and read > ROWS * LARGE_BYTES * 0.8, read


def test_an_in_memory_family_is_read_once(_):
    with with_pages("with (in_memory = true)") as server:
        with server.connect(autocommit=True) as session:
            query = "select sum(n) from pages"
            session.execute(query)
            # Fills the cache with other blocks.
            session.execute("select sum(length(body)) from pages")
            found, read = spent(server, session, query)
            assert found == [(1800,)] and read < 20_000, read


def test_a_filter_of_columns_spares_files_without_them(server):
    with server.connect(autocommit=True) as session:
        for bloom, skipped in [("row", 0), ("rowcol", 1)]:
            table = f"sparse_{bloom}"
            session.execute(f"create table {table} (id int primary key, a int family f, b int family f, family f with (bloom = '{bloom}'))")
            session.execute(f"insert into {table} select i, i, 0 from generate_series(1, 1000) i")
            session.execute("select terrane.flush(%s)", (table,))
            session.execute(f"update {table} set b = b + id")
            session.execute("select terrane.flush(%s)", (table,))
            # A third run would be merged with these at any moment.
            runs = session.execute("select count(*) from terrane.sstables where table_oid = %s::regclass and locality_group = 'f'", (table,))
            assert runs.fetchall() == [(2,)]
            plan = session.execute(f"explain analyze select a from {table} where id = 7").fetchall()
            found = re.search(r"files_skipped=(\d+)", str(plan))
            assert found and int(found[1]) == skipped, plan
            found = session.execute(f"select a, b from {table} where id = 7").fetchall()
            assert found == [(7, 7)], found
            found = session.execute("select distinct bloom from terrane.families where table_oid = %s::regclass and family = 'f'", (table,)).fetchall()
            assert found == [(bloom,)], found


def test_families_come_and_go_while_writers_run(server):
    """Not one statement of the writers may fail."""
    server.execute("create table online (id int primary key, n int not null, t text family f, family f with (bloom = 'none'))")
    stop = threading.Event()
    counts = [0] * 4

    def write(number):
        if number == len(counts):
            try:
                change_families(server)
            finally:
                stop.set()
            return
        with server.connect(autocommit=True, prepare_threshold=1 if number % 2 else None) as session:
            while not stop.is_set():
                key = counts[number] * len(counts) + number
                session.execute("insert into online (id, n, t) values (%s, 0, %s)", (key, "x" * (key % 300)))
                session.execute("update online set n = n + 1 where id = %s", (key,))
                found = session.execute("select n, length(t) from online where id = %s", (key,)).fetchall()
                assert found == [(1, key % 300)], found
                counts[number] += 1

    run_threads(write, len(counts) + 1)
    with server.connect(autocommit=True) as session:
        found = session.execute("select count(*), sum(n) from online").fetchall()
        assert found == [(sum(counts), sum(counts))], (found, counts)
        assert min(counts) > 5, counts


def change_families(server):
    with server.connect(autocommit=True) as session:
        for turn in range(6):
            session.execute(f"alter table online add family g{turn} with (block_size = '4kB')")
            session.execute(f"alter table online add column c{turn} int default {turn} family g{turn}")
            session.execute(f"update online set c{turn} = id where id % 3 = 0")
            wrong = session.execute(f"select count(*) from online where c{turn} <> case when id % 3 = 0 then id else {turn} end")
            # Rows that came after the update have the default.
            assert wrong.fetchone()[0] >= 0
            session.execute(f"alter table online alter family f set (compression = '{['lz4', 'zstd'][turn % 2]}')")
            session.execute("vacuum online")
            session.execute(f"alter table online drop family g{turn}")
            time.sleep(0.2)


def test_a_dropped_family_gives_its_room_back(server):
    def stored():
        sizes = 0
        for folder, _, files in os.walk(os.path.join(server.directory, "tables")):
            sizes += sum(os.path.getsize(os.path.join(folder, name)) for name in files)
        return sizes

    draw = random.Random(5)
    server.execute("create table heavy (id int primary key, n int, b bytea family b, family b with (compression = 'none'))")
    with server.connect(autocommit=True) as session:
        with session.cursor().copy("copy heavy from stdin") as copy:
            for key in range(200):
                copy.write_row((key, key, draw.randbytes(LARGE_BYTES)))
        session.execute("checkpoint")
        before = stored()
        session.execute("alter table heavy drop family b")
        for _ in range(100):
            if before - stored() > 150 * LARGE_BYTES:
                break
            time.sleep(0.05)
        assert before - stored() > 150 * LARGE_BYTES, (before, stored())
        assert session.execute("select count(*), sum(n) from heavy").fetchall() == [(200, 19900)]


if __name__ == "__main__":
    run(globals(), "tests of families passed", PsycopgServer)
