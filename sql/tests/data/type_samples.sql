-- Makes type_samples.tsv: what PostgreSQL 15's input and output functions do with these texts.
--
--   createdb -l C.UTF-8 samples
--   psql -XqAt -d samples -f type_samples.sql | grep . > type_samples.tsv
--
-- A line is: type, settings, input, and either "=" and the output or "!" and SQLSTATE and message; tabs
-- between them, backslashes, tabs and newlines inside them escaped as in COPY.
SET client_min_messages = error;
SET TimeZone = 'UTC';

-- Assignment, not a cast: a cast to varchar(n) cuts where the input function refuses.
CREATE FUNCTION pg_temp.try(type text, settings text, input text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    result text;
    setting text;
BEGIN
    EXECUTE format('CREATE TEMP TABLE IF NOT EXISTS %I (v %s)', 'of ' || type, type);
    FOREACH setting IN ARRAY string_to_array(settings, ';') LOOP
        PERFORM set_config(split_part(setting, '=', 1), split_part(setting, '=', 2), true);
    END LOOP;
    EXECUTE format('TRUNCATE %I', 'of ' || type);
    EXECUTE format('INSERT INTO %I VALUES (%L)', 'of ' || type, input);
    -- format's %s calls the output function; a cast to text does not always.
    EXECUTE format('SELECT format(''%%s'', v) FROM %I', 'of ' || type) INTO result;
    RAISE EXCEPTION USING ERRCODE = 'UT000', MESSAGE = result;
EXCEPTION
    -- Rolled back either way, so that settings and rows go away.
    WHEN SQLSTATE 'UT000' THEN RETURN '=' || SQLERRM;
    WHEN OTHERS THEN RETURN '!' || SQLSTATE || ' ' || SQLERRM;
END $$;

CREATE FUNCTION pg_temp.escape(t text) RETURNS text LANGUAGE sql AS $$
    SELECT replace(replace(replace(replace(t, E'\\', E'\\\\'), E'\t', E'\\t'), E'\n', E'\\n'), E'\r', E'\\r')
$$;

CREATE TEMP TABLE samples (n serial, type text, settings text, input text);

CREATE FUNCTION pg_temp.add(types text, settings text, inputs text[]) RETURNS void LANGUAGE sql AS $$
    INSERT INTO samples (type, settings, input)
    SELECT t, settings, i FROM unnest(string_to_array(types, '|')) t, unnest(inputs) i
$$;

SELECT pg_temp.add('boolean', '', ARRAY['t', 'true', 'TRUE', ' tr ', 'f', 'fal', 'yes', 'y', 'YE', 'n', 'no', 'on',
    'o', 'of', 'off', 'offf', '1', '0', '11', '', ' ', 'tru e', 'x', 'nope', 'truex']);

SELECT pg_temp.add('smallint|integer|bigint', '', ARRAY['0', '-0', '+7', '  42  ', E'\t1\n', '32767', '32768', '-32768',
    '-32769', '2147483647', '2147483648', '-2147483648', '-2147483649', '9223372036854775807',
    '9223372036854775808', '-9223372036854775808', '-9223372036854775809', '99999999999999999999999', '',
    ' ', '-', '+', '1.0', '1e3', '0x10', '1_000', '1 2', 'abc', '12a', '٣', '0000000000000000000000000042']);
SELECT pg_temp.add('oid', '', ARRAY['0', '4294967295', '4294967296', '-1', '-2147483648', 'x', '', ' 7 ']);

SELECT pg_temp.add('real|double precision', '', ARRAY['0', '-0', '1', '-1.5', '  2.5  ', '1e5', '1E-5', '1e15', '1e14',
    '123456789012345678', '123456', '1234567', '999999', '1000000', '0.0001', '0.00001', '0.1', '0.3',
    '1.1', '3.14159265358979323846', '1e23', '9.5e-5', '5e-324', '4.9e-324', '2.2250738585072014e-308',
    '1.7976931348623157e308', '1e308', '1e309', '-1e309', '1e-400', '1e-46', '1e-45', '1.4e-45', '3.4028235e38',
    '3.5e38', 'NaN', 'nan', 'Infinity', '-Infinity', 'inf', '-inf', '+Infinity', 'infinityx', 'in', '', ' ',
    '.', '1.', '.5', '1e', '1e+', 'e5', '1.5.2', 'x', '1 2', '9007199254740993', '9007199254740992',
    '1.7976931348623159e308', '123456789.123456789', '1e7', '16777217', '8388608.5', '2e-44', '33554432',
    '4503599627370496.5', '0.000244140625', '1.0000000000000002', '72057594037927936', '6.02214076e23',
    '9.999999e5', '9999995', '99999.95', '4.35', '1e22', '1e21', '2.5e-7', '7.0385307e-26', '5.0e-20']);
SELECT pg_temp.add('real|double precision', 'extra_float_digits=0', ARRAY['0.1', '1e15', '123456789.123456789', '1e-5',
    '100', '3.14159265358979', '1234567', '0.3', '1e100', '-2.50', '1e23']);
SELECT pg_temp.add('real|double precision', 'extra_float_digits=-3', ARRAY['0.1', '123456789.123456789', '3.14159265358979']);

SELECT pg_temp.add('numeric(10,2)|numeric(5)|numeric(38,10)|numeric(76,20)|numeric(3,3)|numeric(4,-2)', '', ARRAY['0', '-0', '1', '-1', '1.005',
    '1.015', '-1.005', '12345678.99', '12345678.995', '99999999.99', '99999999.994', '99999999.995', '123456789.99', '0.004',
    '0.005', '-0.005', '1e2', '1.5e-2', '1E+3', '  7.25  ', '.5', '5.', '.', '', '-', '1e', '1e+', '1.2.3', 'abc',
    '1 2', '0.9994', '0.9995', '99999.4', '99999.5', '449', '450', '949999', '950000', '1e-30',
    '00000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000001.5',
    '1e1000000', '1e-1000000', '123e-2']);
SELECT pg_temp.add('numeric', '', ARRAY['0', '-0', '1', '-17', '123456789012345678901234567890', '0.5', '-0.25', '1e20', '1e-20',
    '1.00000000000000000001', '', 'x', '1e', '12345678901234567890123456789012345678901234567890123456']);

SELECT pg_temp.add('text', '', ARRAY['', 'a', ' a ', 'größer', E'tab\tnewline\n', 'it''s']);
SELECT pg_temp.add('varchar(3)|char(3)|varchar|char(1)', '', ARRAY['', 'a', 'abc', 'abcd', 'abc   ', 'ab  ', 'äöü', 'äöüß', 'äöü  ', '   ', '    ', E'ab\t']);

SELECT pg_temp.add('bytea', '', ARRAY['', 'abc', E'\\x', E'\\x00ff', E'\\xDEAD BEEF', E'\\x0', E'\\xzz', E'\\x0g', E'\\x0 0', E'\\\\', E'\\001\\377', E'\\400',
    E'\\', E'a\\', E'\\12', 'ü', E'\\x 00', E'\\X00']);
SELECT pg_temp.add('bytea', 'bytea_output=escape', ARRAY['abc', E'\\x00ff5c27', E'\\\\a', E'\\x7f20']);

SELECT pg_temp.add('uuid', '', ARRAY['a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11', 'A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11',
    '{a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11}', 'a0eebc999c0b4ef8bb6d6bb9bd380a11', 'a0ee-bc99-9c0b-4ef8-bb6d-6bb9-bd38-0a11',
    '{a0eebc99-9c0b4ef8-bb6d6bb9-bd380a11}', 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a1', 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a111', '{a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11',
    'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11}', '', 'x', ' a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11', 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a1g', 'a0eebc99--9c0b-4ef8-bb6d-6bb9bd380a11', 'a0e-ebc99-9c0b-4ef8-bb6d-6bb9bd380a11']);

SELECT pg_temp.add('json|jsonb', '', ARRAY['{}', '[]', '1', '-1.50', '1e5', '1E-3', '-0', '-0.0', '0.10', '1.5e1', '1.50e1', 'true', 'false', 'null', '"a"', '""', ' { "b" : 1 , "a" : [ 1 , 2 ] } ',
    '{"bb":1,"a":2,"c":3,"aa":4}', '{"a":1,"a":2}', '{"a":{"z":1,"b":[true,null,{"y":"x"}]}}', '"\u00e4\n\t\"\\\/"', '"\ud83d\ude00"', '"\u0000"',
    '"\ud83d"', '"\ude00"', '"\ud83dx"', '"\ud83d\ud83d"', '"\u12"', '"\x"', '"\"', '"abc', E'"a\tb"', '{', '[', '[1', '[1,', '[1,]', '{"a"', '{"a":', '{"a":1', '{"a":1,', '{"a":1,}', '{"a" 1}', '{a:1}', '{1:2}',
    '', ' ', 'x', 'tru', 'truex', 'TRUE', '01', '1.', '.5', '-', '+1', '1e', '1e+', '--1', '0x1', '1 2', '[] []', '{"a":1}}', '[1 2]', ',', ':', ']', '}', '[,1]', '{,}', '["a":1]',
    '{"a":1,"b"}', '{"":0}', '"\u0001\u001f\u007f"', '"ä"', '12345678901234567890123456789012345678901234567890.12345678901234567890', '1e400', '0e5', '0.0e-3', '100e-2', '123.450e2', '1e-400', '1e200000',
    '[1e1,1E1,1e+1]', '{"z":null,"y":{"b":1,"a":1},"x":[[],{}]}']);

SELECT pg_temp.add('integer[]', '', ARRAY['{}', '{1,2,3}', ' { 1 , 2 } ', '{NULL,1}', '{null}', '{"1"}', '{1,}', '{,1}', '{1', '1', '', '{1}x', '{1} ', '{a}', '{1 2}', '[1:2]={1,2}', '{"}', '{""}', '{1,,2}', '{99999999999}']);
SELECT pg_temp.add('text[]', '', ARRAY['{}', '{a,b}', '{"a b",c}', '{a b , c }', '{"a\"b","c\\d"}', '{NULL,"NULL",null,nUlL}', '{a\,b}', '{"",x}', '{ä,"ö ü"}', '{"{}",","}', '{a"b}', '{"a"b}', '{a', '{a}}', '{"a', '{\n}', '{\NULL}', '{ }', '{"a" , "b" }', '{a\ }', E'{a\\\\b}', '{x{y}', '{"a" b}']);
SELECT pg_temp.add('date[]|double precision[]|boolean[]', '', ARRAY['{2001-02-03,"Feb 3 2001"}', '{1.5,NULL,1e30}', '{t,f}', '{}']);
SELECT pg_temp.add('timestamp[]|bytea[]|numeric(5,2)[]|varchar(2)[]', '', ARRAY['{2001-02-03 04:05:06}', '{"\\x00ff"}', '{1,2.345}', '{ab,abc}']);

SELECT pg_temp.add('date', '', ARRAY['2001-02-03', '20010203', '010203', 'Feb 3 2001', 'February 3, 2001', '3 Feb 2001', '3-Feb-2001', 'Feb-03-2001', '2001-Feb-03', '2001 Feb 3',
    '02/03/2001', '2/3/01', '02-03-2001', '2.3.2001', '2001/02/03', '2001.02.03', '2001.034', '2001034', '2001 34', '2001-034', 'J2451187', 'julian 2451187', 'j 2451944.5', 'y2001m02d03', '03-02-2001', '13/02/2001', '31-02-2001', '2001-02-29', '2000-02-29', '1900-02-29',
    '2001-13-01', '2001-00-01', '2001-01-00', '2001-01-32', '0001-01-01', '0000-01-01', '1 BC', 'Jan 1 1 BC', '0044-03-15 BC', '4713-01-01 BC', '4714-11-24 BC', '4714-11-23 BC', '5874897-12-31', '5874898-01-01', '10000-01-01', '99999-12-31', '2001-02-03 BC', '2001-02-03 AD', '99-01-08', '1999-01-08', '08-Jan-99', 'Jan-08-1999',
    '69-01-01', '70-01-01', '1/1/69', '1/1/70', '2001-2-3', '2001-02-03 04:05:06', '2001-02-03T04:05:06Z', '2001-02-03 24:00:00', '2001-02-03 25:00:00', 'Saturday, February 3, 2001', 'Sat Feb 3 2001', 'Sat Feb 03 04:05:06 2001', 'Sat Feb 03 04:05:06 2001 PST', 'epoch', '  2001-02-03  ', '', ' ', 'x', '2001', '2001-02', '2001-02-', '2001-02-03-04', '2001--03', 'Feb 30 2001', 'Feb 2001', '12', '1', '2001-02-03x', 'x2001-02-03', '2001-02-03 foo', '2001-02-03 Europe/Berlin', '2001-02-03 Foo/Bar',
    '1e5', '20010230', '20011301', '200102031', '2001:02:03', '01 02 03', '3 2 1', 'Mon', '2001-W05-6', '2001-02-03 +05', '2001-02-03+05', '2001-02-03 04:05', 'May 2001 5', '2001-05-MAY', 'infinityx', '2001-02-03 at 4:05', 'on 2001-02-03', '1999 Jan 08', '08 Jan 1999', 'January 8, 99', '18-01-99', '99-Jan-08', '8-1-99', '1.2.3.4', '2001,02,03', '(2001-02-03)', '٢٠٠١-02-03']);
SELECT pg_temp.add('date', 'datestyle=ISO, DMY', ARRAY['02/03/2001', '2/3/01', '13/02/2001', '02/13/2001', '20010203', 'Feb 3 2001', '01-02-03', '3-Feb-01', '99-01-08']);
SELECT pg_temp.add('date', 'datestyle=ISO, YMD', ARRAY['02/03/2001', '2/3/01', '01-02-03', '99/2/3', '3-Feb-2001', '99-Feb-3', '01 02 03', '3 Feb 99']);
SELECT pg_temp.add('date|timestamp|timestamptz', 'datestyle=SQL, MDY', ARRAY['2001-02-03 04:05:06.5', '0044-03-15 00:00 BC']);
SELECT pg_temp.add('date|timestamp|timestamptz', 'datestyle=SQL, DMY', ARRAY['2001-02-03 04:05:06.5', '12345-03-15']);
SELECT pg_temp.add('date|timestamp|timestamptz', 'datestyle=German', ARRAY['2001-02-03 04:05:06.5', '0044-03-15 00:00 BC']);
SELECT pg_temp.add('date|timestamp|timestamptz', 'datestyle=Postgres, MDY', ARRAY['2001-02-03 04:05:06.5', '0044-03-15 00:00 BC']);
SELECT pg_temp.add('date|timestamp|timestamptz', 'datestyle=Postgres, DMY;TimeZone=Europe/Berlin', ARRAY['2001-02-03 04:05:06.5', '2001-07-03']);
SELECT pg_temp.add('timestamptz', 'datestyle=SQL, DMY;TimeZone=America/New_York', ARRAY['2001-02-03 04:05:06.5', '2001-07-03', '1800-01-01']);

SELECT pg_temp.add('time', '', ARRAY['04:05:06', '04:05', '040506', '0405', '04:05:06.789', '04:05:06.7890001', '04:05:06.1234567', '04:05 AM', '04:05 PM', '4:05pm', '12:00 am', '12:00 pm', '13:00 pm', '13:00 am', '24:00:00', '24:00:01', '23:59:60', '23:59:59.9999999', '25:00', '23:60', '23:59:61',
    '04:05:06-08', '04:05:06+01:30', '04:05:06 PST', '2003-04-12 04:05:06 America/New_York', '04:05:06 America/New_York', '04:05:06 UTC', 'allballs', '', 'x', '4', '45', '456', '12345', '1234567', 'now x', '04:05:06 BC', 'T040506', 'T04:05:06', '2001-02-03', '2001-02-03 04:05', '4:5:6', '04:05:', ':05', '04', '040506.789', '040506-08', '040506+0730', '1:2', '-04:05', '00:00', '04:05:06.', '04:05.5', '999999:00', '99999999999:00', '04h05m', 'h04mm05s06', '1e3', '04:05:06 zulu', '04:05:06z', 'noon', '12:00:00 noon']);

SELECT pg_temp.add('timestamp|timestamptz', '', ARRAY['2001-02-03 04:05:06', '2001-02-03T04:05:06', '2001-02-03t04:05:06', '2001-02-03 04:05', '2001-02-03', '20010203T040506', '20010203 040506', '20010203040506', '2001-02-03 04:05:06.789', '2001-02-03 04:05:06.789123', '2001-02-03 04:05:06.7891235', '2001-02-03 04:05:06.9999999',
    '2001-02-03 04:05:06+01', '2001-02-03 04:05:06 +01:30', '2001-02-03 04:05:06-0330', '2001-02-03 04:05:06+01:30:15', '2001-02-03 04:05:06Z', '2001-02-03 04:05:06 UTC', '2001-02-03 04:05:06 PST', '2001-07-03 04:05:06 PDT', '2001-02-03 04:05:06 America/New_York', '2001-07-03 04:05:06 america/new_york', '2001-02-03 04:05:06 EST5EDT', '2001-07-03 04:05:06 EST DST', '2001-02-03 04:05:06 UTC+3', '2001-02-03 04:05:06 +15:59', '2001-02-03 04:05:06 +16', '2001-02-03 04:05:06 +01:60', '2001-02-03 04:05:06 Foo/Bar', '2001-02-03 04:05:06 foo',
    'Feb 3 04:05:06 2001', 'Feb 3, 2001 4:05 PM', 'February 3 2001 16:05:06.5 PST', 'Sat Feb 03 04:05:06 2001 CET', '3 Feb 2001 04:05 AM', '02/03/2001 4:05:06 am', '1999-01-08 04:05:06 -8:00', 'January 8 04:05:06 1999 PST', 'epoch', '2001-02-03 24:00:00', '2001-02-03 24:00:01', '2001-02-03 23:59:60', '2001-02-03 24:00', '0001-01-01 00:00:00', '0001-01-01 00:00:00 BC', '4713-01-01 00:00:00 BC', '4714-11-24 00:00:00 BC', '4714-11-23 23:59:59 BC', '10000-01-01 00:00:00', '99999-12-31 23:59:59.999999', '290000-01-01 00:00:00', '294277-01-01 00:00:00', '400000-01-01',
    '1e3', '', ' ', 'x', '2001-02-03 04', '2001-02-03 4:5:6', '2001-02-03 25:00', '2001-02-30 00:00', '2001-13-03 00:00', '04:05:06', '2001-02-03 04:05:06 BC', '2001-02-03 BC 04:05:06', '2001-02-03 04:05:06 2001-02-03', '2001-02-03 04:05:06 04:05:06', 'J2451944 04:05:06', 'J2451944.25', 'J2451944-05', '2001-02-03 allballs', '2001.034 04:05', '2001-02-03 04:05:06,789', '20010203T040506.789-08', '20010203T040506-0830', '2001-02-03 040506', '2001-02-03 0405', 'y2001m02d03 h04mm05s06', '2001-02-03 04:05:06.1e3', '1970-01-01 00:00:00.000001', '1969-12-31 23:59:59.999999', '1960-02-29 12:00:00.5', '2001-02-03T', '2001-02-03 T04', '2001-02-03 04:05:06 + 5', '2001-02-03 04:05:06 A', '2001-02-03 04:05:06 z', '2001-02-03 04:05:06zulu', '12/31/1999 11:59:59 pm', '1999-12-31 12:30 am', '1999-12-31 12:30 pm', '1999-12-31 0:30 pm', '1999-12-31 13:30 pm', 'Dec 31, 1999, 11:59pm']);
SELECT pg_temp.add('timestamptz', 'TimeZone=Europe/Berlin', ARRAY['2001-02-03 04:05:06', '2001-07-03 04:05:06', '2001-03-25 02:30:00', '2001-10-28 02:30:00', '2001-10-28 01:59:59', '2001-10-28 03:00:00', '2001-02-03 04:05:06Z', '1800-01-01 00:00:00', '1893-03-31 23:53:28', '1945-05-24 02:00:00', '3000-07-01 00:00:00', '0100-01-01 BC', 'epoch', '2001-02-03', '100000-07-01 00:00:00']);
SELECT pg_temp.add('timestamptz', 'TimeZone=America/New_York', ARRAY['2001-02-03 04:05:06', '2001-07-03 04:05:06', '2001-04-01 02:30:00', '2001-10-28 01:30:00', '2001-02-03 04:05:06Z', '1883-11-18 12:00:00', '2040-07-01 00:00:00']);
SELECT pg_temp.add('timestamptz', 'TimeZone=Asia/Kathmandu', ARRAY['2001-02-03 04:05:06', '1980-02-03 04:05:06']);
SELECT pg_temp.add('timestamptz', 'TimeZone=Australia/Lord_Howe', ARRAY['2001-02-03 04:05:06', '2001-03-25 01:45:00', '2001-10-28 02:15:00']);
SELECT pg_temp.add('timestamptz', 'TimeZone=Pacific/Apia', ARRAY['2011-12-29 12:00:00', '2011-12-30 12:00:00', '2011-12-31 12:00:00']);
SELECT pg_temp.add('timestamptz', 'TimeZone=UTC+3', ARRAY['2001-02-03 04:05:06', '2001-02-03 04:05:06Z']);
SELECT pg_temp.add('timestamp', 'datestyle=ISO, DMY', ARRAY['02/03/2001 04:05', '13/02/2001 04:05', '3.2.2001 4:05']);

SELECT pg_temp.add('interval', '', ARRAY['1 day', '1 days', '-1 day', '1 year 2 months 3 days 4 hours 5 minutes 6 seconds', '1y 2mon 3d 4h 5m 6s', '1-2', '-1-2', '1-2 3 04:05:06', '3 4:05:06', '3 -4:05:06', '-3 4:05:06', '04:05:06', '-04:05:06', '+04:05:06', '04:05', '04:05.5', '100:00:00', '1 week', '2 weeks 1 day', '1.5 weeks', '1.5 days', '1.5 months', '1.5 years', '0.1 months', '1 decade', '1 century', '1 millennium', '1.5 decades', '1 quarter', '1 hour ago', '1 year -2 days ago', '@ 1 minute', '@ 1 year 2 mons -3 days 4 hours 5 mins -6.5 secs ago', '1', '1.5', '-1', '0', '1 2', '1 2 3', '1 day 2', '500 ms', '500 us', '1.5 ms', '1.5 us', '0.5 us', '1500 milliseconds', '3 microseconds', '1 sec 500 ms', '1 sec 1 sec', '1 day 1 day', '1:00:00 1 hour', 'P1Y2M3DT4H5M6S', 'P1Y', 'PT1H', 'P1W', 'P1.5D', 'PT0.5S', 'P-1Y-2M', 'P1Y-2M', 'PT-4H5M', 'P0001-02-03T04:05:06', 'P00010203T040506', 'P1-2-3', 'P1', 'PT04:05', 'P', 'PT', 'P1', 'P1X', 'P1YT', 'P 1Y', 'p1y', 'PT1H2', 'P1Y1', '', ' ', 'x', 'day', '1 day day', '1 foo', 'ago', 'day 1', '1 day 04:05:06.789', '1 day 25:00:00', '1 mon -1 day', '-1 mon 1 day', '-1 mon +1 day -1:00', '1 mon 1 day -1:00', '-1 year', '13 months', '25 hours', '61 minutes', '100000000 years', '178956970 years', '178956971 years', '2147483647 months', '2147483648 months', '2147483647 days', '2147483648 days', '9223372036854775807 us', '9223372036854775808 us', '2562047788 hours', '2562047789 hours', '1e3 days', '1..5 days', '1 day today', 'epoch', 'now', '1 month 1.5 days', '0.5', '.5 days', '1. days', '-.5 days', '-0.5 months', '1:60', '1:00:61', '1:2:3', '1 d 2 h', '1day', '1day2hours', '1 y 1 mon', '1 mons', '1 yrs', '1 m', '1 min', '1 mins', '10 cent', '1 c', '2 mil', '1 microsecondsxyz', '- 1 day', '+ 1 day', '1 day - 2 hours', '1-13', '1-', '1-2-3', '0.000001 sec', '0.0000005 sec', '0.0000015 sec', '1 hour 30', '1 30', '1 year 1 day 1 month', '1.1 years', '0.99 years', '5 days 3', '1 day,2 hours', '1 day; 2 hours', '12 h 3 w']);
SELECT pg_temp.add('interval', 'intervalstyle=iso_8601', ARRAY['1 year 2 mons 3 days 04:05:06.789', '0', '-1 day', '1 day -1 hour', '-1-2', '0.5 sec', '-0.5 sec', '1 mon', '100 hours', '-1:02:03.5']);
SELECT pg_temp.add('interval', 'intervalstyle=sql_standard', ARRAY['1 year 2 mons 3 days 04:05:06.789', '0', '-1 day', '1 day -1 hour', '-1-2', '0.5 sec', '-0.5 sec', '1 mon', '100 hours', '-1:02:03.5', '-1 2:03:04', '-1 +2:03:04', '-1 day 2 hours', '-1-2 3 4:05', '1 1:00', '3 days', '-3 days -1:00']);
SELECT pg_temp.add('interval', 'intervalstyle=postgres_verbose', ARRAY['1 year 2 mons 3 days 04:05:06.789', '0', '-1 day', '1 day -1 hour', '-1-2', '0.5 sec', '-0.5 sec', '1 mon', '100 hours', '-1:02:03.5', '1 sec', '-1 sec', '-1 day 1 sec', '-1 day -1 sec', '1 day -0.5 sec']);

SELECT concat_ws(E'\t', type, settings, pg_temp.escape(input), pg_temp.escape(pg_temp.try(type, settings, input)))
FROM samples ORDER BY n;
