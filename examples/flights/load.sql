-- Every 120th of the 336,776 flights that left New York in 2013, with their airlines and airports.
-- From nycflights13 (CC0, https://github.com/tidyverse/nycflights13).
--
--   psql -h 127.0.0.1 -p 5433 -U terrane terrane -f examples/flights/load.sql

CREATE TABLE airlines (carrier text PRIMARY KEY, name text NOT NULL);

CREATE TABLE airports (
    faa char(3) PRIMARY KEY,
    name text NOT NULL,
    lat float8,
    lon float8,
    alt int
);

CREATE TABLE flights (
    id int PRIMARY KEY,
    year int NOT NULL,
    month int NOT NULL CHECK (month BETWEEN 1 AND 12),
    day int NOT NULL,
    dep_time int,
    sched_dep_time int,
    dep_delay int,
    arr_delay int,
    carrier text NOT NULL,
    flight int,
    tailnum text,
    origin char(3) NOT NULL,
    dest char(3) NOT NULL,
    air_time int,
    distance int,
    time_hour timestamptz
);

\copy airlines FROM 'examples/flights/airlines.csv' WITH (FORMAT csv, HEADER)
\copy airports FROM 'examples/flights/airports.csv' WITH (FORMAT csv, HEADER)
\copy flights FROM 'examples/flights/flights.csv' WITH (FORMAT csv, HEADER)
