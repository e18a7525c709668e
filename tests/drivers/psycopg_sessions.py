"""psycopg's connections to a running terrane, one or many at a time."""

import threading

import psycopg
from driver_tests import Server


class PsycopgServer(Server):
    """A running terrane, and psycopg's connections to it."""

    def connect(self, **options):
        return psycopg.connect(self.url, **options)

    def execute(self, *statements):
        """Each of these, committed by itself."""
        with self.connect(autocommit=True) as session:
            for statement in statements:
                session.execute(statement)


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
