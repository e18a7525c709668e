-- The Webtable of the Bigtable paper: web pages by their reversed host and path, with their contents, and the texts of the
-- links that point at them. Twelve pages of the Python 3.11 documentation and the 1,093 links to them
-- (Copyright (c) 2001-2023 Python Software Foundation, PSF License Version 2, https://docs.python.org/3/license.html).
--
--   psql -h 127.0.0.1 -p 5433 -U terrane terrane -f examples/webtable/load.sql

CREATE TABLE webtable (
    url text PRIMARY KEY,
    title text,
    contents text FAMILY contents,
    anchor hstore FAMILY anchor,
    FAMILY contents WITH (compression = 'zstd', max_versions = 3),
    FAMILY anchor WITH (block_size = '16kB')
);

\copy webtable (url, title, contents) FROM 'examples/webtable/pages.csv' WITH (FORMAT csv, HEADER true)

CREATE TEMP TABLE link (url text, referrer text, words text);

\copy link FROM 'examples/webtable/anchors.csv' WITH (FORMAT csv, HEADER true)

UPDATE webtable SET anchor = links.words
FROM (SELECT url, hstore(array_agg(referrer), array_agg(words)) AS words FROM link GROUP BY url) AS links
WHERE webtable.url = links.url;

DROP TABLE link;
