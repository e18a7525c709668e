"""Terrane as psycopg sees it: usage psycopg_session.py TERRANE-BINARY.

Starts the binary on an empty directory, runs every function named test_*, prints one line each and a
closing count. No anomalies (two sessions adding to one row), blocks, savepoints, errors, types.
"""

import datetime
import decimal
import re
import subprocess
import sys
import tempfile
import threading
import uuid

import psycopg


class Server:
    """A running terrane on a directory and a free port."""

    def __init__(self, binary, directory):
        self.process = subprocess.Popen(
            [binary, "start", "--data", directory, "--listen", "127.0.0.1:0"],
            stdout=subprocess.PIPE,
            text=True,
        )
        for line in self.process.stdout:
            match = re.search(r"psql -h (\S+) -p (\d+)", line)
            if match:
                self.host, self.port = match.group(1), int(match.group(2))
                break
        else:
            raise SystemExit("terrane did not say where it listens")
        threading.Thread(target=self.process.stdout.read, daemon=True).start()

    def connect(self, **options):
        return psycopg.connect(
            host=self.host, port=self.port, user="terrane", dbname="terrane", **options
        )

    def stop(self):
        self.process.terminate()
        return self.process.wait(timeout=20)


def run_threads(work, count):
    errors = []

    def guarded(number):
        try:
            work(number)
        except Exception as error:  # noqa: BLE001 - told to the main thread
            errors.append(error)

    threads = [threading.Thread(target=guarded, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]


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


def main():
    tests = [(name, test) for name, test in globals().items() if name.startswith("test_")]
    failed = 0
    with tempfile.TemporaryDirectory() as directory:
        server = Server(sys.argv[1], directory)
        for name, test in tests:
            try:
                test(server)
                print(f"{name}: ok")
            except Exception as error:  # noqa: BLE001 - every failure is reported
                failed += 1
                print(f"{name}: FAILED: {error!r}")
        if server.stop() != 0:
            failed += 1
            print("the server did not stop cleanly")
    print(f"{len(tests) - failed} of {len(tests)} psycopg tests passed")
    sys.exit(bool(failed))


main()
