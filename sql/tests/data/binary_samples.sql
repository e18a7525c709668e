-- Makes binary_samples.tsv: the bytes of PostgreSQL 15's send functions. A line is: type, text, hex.
--
--   psql -XqAt -F '	' -d samples -f binary_samples.sql | grep . > binary_samples.tsv
SET TimeZone = 'UTC';
SELECT 'boolean', v, encode(boolsend(v::boolean), 'hex') FROM unnest(ARRAY['t','f']) v;
SELECT 'smallint', v, encode(int2send(v::smallint), 'hex') FROM unnest(ARRAY['0','-1','32767','-32768']) v;
SELECT 'integer', v, encode(int4send(v::integer), 'hex') FROM unnest(ARRAY['0','-1','2147483647','-2147483648']) v;
SELECT 'bigint', v, encode(int8send(v::bigint), 'hex') FROM unnest(ARRAY['0','-1','9223372036854775807','-9223372036854775808']) v;
SELECT 'real', v, encode(float4send(v::real), 'hex') FROM unnest(ARRAY['0','-0','1.5','NaN','Infinity','3.4028235e38']) v;
SELECT 'double precision', v, encode(float8send(v::float8), 'hex') FROM unnest(ARRAY['0','-0','1.5','-Infinity','1e-300']) v;
SELECT 'numeric(38,' || s || ')', v, encode(numeric_send(v::numeric), 'hex')
FROM (VALUES (0,'0'),(0,'1'),(0,'-1'),(0,'9999'),(0,'10000'),(0,'10001'),(0,'100000000'),(0,'123456789012345678901234567890'),(1,'0.0'),(1,'1.5'),(2,'-1.50'),(2,'0.01'),(3,'0.001'),(4,'0.0001'),(4,'1.0000'),(5,'0.00001'),(5,'10000.00001'),(8,'1234.56780000'),(9,'-98765432.123456789'),(10,'0.0000000010'),(20,'12345678901234567.12345678901234567890')) t(s,v);
SELECT 'numeric', v, encode(numeric_send(v::numeric), 'hex') FROM unnest(ARRAY['0','7','-12.25','0.00000000000000000001','12345678901234567890123456789012345678901234567890123456','100000000000000000000']) v;
SELECT 'text', v, encode(textsend(v), 'hex') FROM unnest(ARRAY['','größer']) v;
SELECT 'char(4)', v, encode(bpcharsend(v::char(4)), 'hex') FROM unnest(ARRAY['','ab','äö']) v;
SELECT 'bytea', v, encode(byteasend(v::bytea), 'hex') FROM unnest(ARRAY['','\x00ff']) v;
SELECT 'date', v, encode(date_send(v::date), 'hex') FROM unnest(ARRAY['2000-01-01','1970-01-01','1999-12-31','4713-01-01 BC','5874897-12-31']) v;
SELECT 'time', v, encode(time_send(v::time), 'hex') FROM unnest(ARRAY['00:00:00','04:05:06.789','24:00:00']) v;
SELECT 'timestamp', v, encode(timestamp_send(v::timestamp), 'hex') FROM unnest(ARRAY['2000-01-01 00:00:00','1970-01-01 00:00:00','1999-12-31 23:59:59.999999','4713-01-01 00:00:00 BC','290000-01-01 00:00:00']) v;
SELECT 'timestamptz', v, encode(timestamptz_send(v::timestamptz), 'hex') FROM unnest(ARRAY['2000-01-01 00:00:00+00','2001-02-03 04:05:06+01:30']) v;
SELECT 'interval', v, encode(interval_send(v::interval), 'hex') FROM unnest(ARRAY['0','1 year 2 mons -3 days 04:05:06.789','-1 us']) v;
SELECT 'uuid', v, encode(uuid_send(v::uuid), 'hex') FROM unnest(ARRAY['a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11']) v;
SELECT 'json', v, encode(json_send(v::json), 'hex') FROM unnest(ARRAY['{ "b":1}']) v;
SELECT 'jsonb', v, encode(jsonb_send(v::jsonb), 'hex') FROM unnest(ARRAY['{ "b":1,"a":[1.50,null]}']) v;
SELECT 'integer[]', v, encode(array_send(v::integer[]), 'hex') FROM unnest(ARRAY['{}','{1}','{1,NULL,-3}']) v;
SELECT 'text[]', v, encode(array_send(v::text[]), 'hex') FROM unnest(ARRAY['{}','{a,"",NULL}']) v;
SELECT 'varchar(5)[]', v, encode(array_send(v::varchar(5)[]), 'hex') FROM unnest(ARRAY['{ab}']) v;
SELECT 'numeric(5,2)[]', v, encode(array_send(v::numeric(5,2)[]), 'hex') FROM unnest(ARRAY['{1.5,0}']) v;
SELECT 'timestamptz[]', v, encode(array_send(v::timestamptz[]), 'hex') FROM unnest(ARRAY['{"2001-02-03 04:05:06+00"}']) v;
