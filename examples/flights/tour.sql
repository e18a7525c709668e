-- Who is late, and by how much?
SELECT a.name, count(*) AS flights, round(avg(f.dep_delay), 1) AS minutes_late
FROM flights f JOIN airlines a USING (carrier)
WHERE f.dep_delay IS NOT NULL
GROUP BY a.name HAVING count(*) >= 50
ORDER BY minutes_late DESC LIMIT 5;

-- The longest routes of each airport.
SELECT origin, dest, name, distance
FROM (SELECT DISTINCT origin, dest, distance,
             rank() OVER (PARTITION BY origin ORDER BY distance DESC) AS place FROM flights) AS r
JOIN airports ON faa = dest
WHERE place = 1 ORDER BY origin;

-- How do delays grow over the day?
SELECT sched_dep_time / 100 / 6 * 6 AS from_hour, count(*),
       sum(count(*)) OVER (ORDER BY sched_dep_time / 100 / 6 * 6) AS so_far,
       count(*) FILTER (WHERE dep_delay > 30) AS late
FROM flights GROUP BY 1 ORDER BY 1;
