-- Who is linked to most? This reads the links and no contents.
SELECT url, array_length(akeys(anchor), 1) AS links FROM webtable ORDER BY 2 DESC NULLS LAST, 1 LIMIT 3;

-- What does one page call another? Of the 529 links one is read.
SELECT anchor['org.python.docs/3/glossary.html'] AS words FROM webtable WHERE url = 'org.python.docs/3/about.html';

-- By what names is a page known?
SELECT w.words, count(*) FROM (SELECT svals(anchor) AS words FROM webtable WHERE url = 'org.python.docs/3/faq/index.html') AS w
GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT 3;

-- A link more, one less, and the page as it is crawled again.
UPDATE webtable SET anchor['com.example.www/blog.html'] = 'about the manual', contents = 'Moved.'
WHERE url = 'org.python.docs/3/about.html';
UPDATE webtable SET anchor = anchor - 'org.python.docs/3/bugs.html'::text WHERE url = 'org.python.docs/3/about.html';
SELECT akeys(anchor), length(contents) FROM webtable WHERE url = 'org.python.docs/3/about.html';

-- The page as it is, as it was, and before its links were known.
SELECT length(contents), array_length(akeys(anchor), 1) AS links
FROM webtable(with_history => true) WHERE url = 'org.python.docs/3/about.html';
