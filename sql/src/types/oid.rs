//! PostgreSQL 15's base types by OID, and what each is here: a [`DataType`], an Arrow type, a name.
//!
//! A type on the wire is an OID and a modifier ([`WireType`]). DataFusion plans carry Arrow types only, so
//! a field that is not what [`of_arrow`] would guess says its type in metadata: key [`METADATA_KEY`], value
//! `oid:modifier`. [`field`] writes it, [`of_field`] reads it.

use crate::session::response::WireType;
use arrow::datatypes::{DataType as ArrowType, Field};
use std::collections::HashMap;
use terrane_client::types::{DataType, HSTORE_CODE, MAP_CODE_BITS, MapType};

/// The key of an Arrow field's metadata under which its PostgreSQL type stands as `oid:modifier`.
pub const METADATA_KEY: &str = "terrane.type";

/// A row of pg_type, for types that are neither rows nor arrays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BaseType {
    /// pg_type.oid
    pub oid: u32,
    /// pg_type.typname
    pub name: &'static str,
    /// The SQL name, as format_type gives it.
    pub sql_name: &'static str,
    /// pg_type.typlen
    pub size: i16,
    /// pg_type.typarray, 0 for none.
    pub array: u32,
    /// pg_type.typcategory
    pub category: char,
}

const fn t(
    oid: u32,
    name: &'static str,
    sql_name: &'static str,
    size: i16,
    array: u32,
    category: char,
) -> BaseType {
    BaseType { oid, name, sql_name, size, array, category }
}

/// All of them, ascending by OID.
#[rustfmt::skip]
pub const BASE_TYPES: &[BaseType] = &[
    t(16, "bool", "boolean", 1, 1000, 'B'),
    t(17, "bytea", "bytea", -1, 1001, 'U'),
    t(18, "char", "\"char\"", 1, 1002, 'Z'),
    t(19, "name", "name", 64, 1003, 'S'),
    t(20, "int8", "bigint", 8, 1016, 'N'),
    t(21, "int2", "smallint", 2, 1005, 'N'),
    t(22, "int2vector", "int2vector", -1, 1006, 'A'),
    t(23, "int4", "integer", 4, 1007, 'N'),
    t(24, "regproc", "regproc", 4, 1008, 'N'),
    t(25, "text", "text", -1, 1009, 'S'),
    t(26, "oid", "oid", 4, 1028, 'N'),
    t(27, "tid", "tid", 6, 1010, 'U'),
    t(28, "xid", "xid", 4, 1011, 'U'),
    t(29, "cid", "cid", 4, 1012, 'U'),
    t(30, "oidvector", "oidvector", -1, 1013, 'A'),
    t(32, "pg_ddl_command", "pg_ddl_command", 8, 0, 'P'),
    t(114, "json", "json", -1, 199, 'U'),
    t(142, "xml", "xml", -1, 143, 'U'),
    t(194, "pg_node_tree", "pg_node_tree", -1, 0, 'Z'),
    t(269, "table_am_handler", "table_am_handler", 4, 0, 'P'),
    t(325, "index_am_handler", "index_am_handler", 4, 0, 'P'),
    t(600, "point", "point", 16, 1017, 'G'),
    t(601, "lseg", "lseg", 32, 1018, 'G'),
    t(602, "path", "path", -1, 1019, 'G'),
    t(603, "box", "box", 32, 1020, 'G'),
    t(604, "polygon", "polygon", -1, 1027, 'G'),
    t(628, "line", "line", 24, 629, 'G'),
    t(650, "cidr", "cidr", -1, 651, 'I'),
    t(700, "float4", "real", 4, 1021, 'N'),
    t(701, "float8", "double precision", 8, 1022, 'N'),
    t(705, "unknown", "unknown", -2, 0, 'X'),
    t(718, "circle", "circle", 24, 719, 'G'),
    t(774, "macaddr8", "macaddr8", 8, 775, 'U'),
    t(790, "money", "money", 8, 791, 'N'),
    t(829, "macaddr", "macaddr", 6, 1040, 'U'),
    t(869, "inet", "inet", -1, 1041, 'I'),
    t(1033, "aclitem", "aclitem", 12, 1034, 'U'),
    t(1042, "bpchar", "character", -1, 1014, 'S'),
    t(1043, "varchar", "character varying", -1, 1015, 'S'),
    t(1082, "date", "date", 4, 1182, 'D'),
    t(1083, "time", "time without time zone", 8, 1183, 'D'),
    t(1114, "timestamp", "timestamp without time zone", 8, 1115, 'D'),
    t(1184, "timestamptz", "timestamp with time zone", 8, 1185, 'D'),
    t(1186, "interval", "interval", 16, 1187, 'T'),
    t(1266, "timetz", "time with time zone", 12, 1270, 'D'),
    t(1560, "bit", "bit", -1, 1561, 'V'),
    t(1562, "varbit", "bit varying", -1, 1563, 'V'),
    t(1700, "numeric", "numeric", -1, 1231, 'N'),
    t(1790, "refcursor", "refcursor", -1, 2201, 'U'),
    t(2202, "regprocedure", "regprocedure", 4, 2207, 'N'),
    t(2203, "regoper", "regoper", 4, 2208, 'N'),
    t(2204, "regoperator", "regoperator", 4, 2209, 'N'),
    t(2205, "regclass", "regclass", 4, 2210, 'N'),
    t(2206, "regtype", "regtype", 4, 2211, 'N'),
    t(2249, "record", "record", -1, 2287, 'P'),
    t(2275, "cstring", "cstring", -2, 1263, 'P'),
    t(2276, "any", "\"any\"", 4, 0, 'P'),
    t(2277, "anyarray", "anyarray", -1, 0, 'P'),
    t(2278, "void", "void", 4, 0, 'P'),
    t(2279, "trigger", "trigger", 4, 0, 'P'),
    t(2280, "language_handler", "language_handler", 4, 0, 'P'),
    t(2281, "internal", "internal", 8, 0, 'P'),
    t(2283, "anyelement", "anyelement", 4, 0, 'P'),
    t(2776, "anynonarray", "anynonarray", 4, 0, 'P'),
    t(2950, "uuid", "uuid", 16, 2951, 'U'),
    t(2970, "txid_snapshot", "txid_snapshot", -1, 2949, 'U'),
    t(3115, "fdw_handler", "fdw_handler", 4, 0, 'P'),
    t(3220, "pg_lsn", "pg_lsn", 8, 3221, 'U'),
    t(3310, "tsm_handler", "tsm_handler", 4, 0, 'P'),
    t(3361, "pg_ndistinct", "pg_ndistinct", -1, 0, 'Z'),
    t(3402, "pg_dependencies", "pg_dependencies", -1, 0, 'Z'),
    t(3500, "anyenum", "anyenum", 4, 0, 'P'),
    t(3614, "tsvector", "tsvector", -1, 3643, 'U'),
    t(3615, "tsquery", "tsquery", -1, 3645, 'U'),
    t(3642, "gtsvector", "gtsvector", -1, 3644, 'U'),
    t(3734, "regconfig", "regconfig", 4, 3735, 'N'),
    t(3769, "regdictionary", "regdictionary", 4, 3770, 'N'),
    t(3802, "jsonb", "jsonb", -1, 3807, 'U'),
    t(3831, "anyrange", "anyrange", -1, 0, 'P'),
    t(3838, "event_trigger", "event_trigger", 4, 0, 'P'),
    t(3904, "int4range", "int4range", -1, 3905, 'R'),
    t(3906, "numrange", "numrange", -1, 3907, 'R'),
    t(3908, "tsrange", "tsrange", -1, 3909, 'R'),
    t(3910, "tstzrange", "tstzrange", -1, 3911, 'R'),
    t(3912, "daterange", "daterange", -1, 3913, 'R'),
    t(3926, "int8range", "int8range", -1, 3927, 'R'),
    t(4072, "jsonpath", "jsonpath", -1, 4073, 'U'),
    t(4089, "regnamespace", "regnamespace", 4, 4090, 'N'),
    t(4096, "regrole", "regrole", 4, 4097, 'N'),
    t(4191, "regcollation", "regcollation", 4, 4192, 'N'),
    t(4451, "int4multirange", "int4multirange", -1, 6150, 'R'),
    t(4532, "nummultirange", "nummultirange", -1, 6151, 'R'),
    t(4533, "tsmultirange", "tsmultirange", -1, 6152, 'R'),
    t(4534, "tstzmultirange", "tstzmultirange", -1, 6153, 'R'),
    t(4535, "datemultirange", "datemultirange", -1, 6155, 'R'),
    t(4536, "int8multirange", "int8multirange", -1, 6157, 'R'),
    t(4537, "anymultirange", "anymultirange", -1, 0, 'P'),
    t(4538, "anycompatiblemultirange", "anycompatiblemultirange", -1, 0, 'P'),
    t(4600, "pg_brin_bloom_summary", "pg_brin_bloom_summary", -1, 0, 'Z'),
    t(4601, "pg_brin_minmax_multi_summary", "pg_brin_minmax_multi_summary", -1, 0, 'Z'),
    t(5017, "pg_mcv_list", "pg_mcv_list", -1, 0, 'Z'),
    t(5038, "pg_snapshot", "pg_snapshot", -1, 5039, 'U'),
    t(5069, "xid8", "xid8", 8, 271, 'U'),
    t(5077, "anycompatible", "anycompatible", 4, 0, 'P'),
    t(5078, "anycompatiblearray", "anycompatiblearray", -1, 0, 'P'),
    t(5079, "anycompatiblenonarray", "anycompatiblenonarray", 4, 0, 'P'),
    t(5080, "anycompatiblerange", "anycompatiblerange", -1, 0, 'P'),
    t(HSTORE, "hstore", "hstore", -1, HSTORE_ARRAY, 'U'),
];

macro_rules! oids {
    ($($name:ident = $oid:literal;)*) => {
        $(#[doc = concat!("OID ", stringify!($oid), ".")] pub const $name: u32 = $oid;)*
    };
}

oids! {
    BOOL = 16;
    BYTEA = 17;
    CHAR = 18;
    NAME = 19;
    INT8 = 20;
    INT2 = 21;
    INT2VECTOR = 22;
    INT4 = 23;
    REGPROC = 24;
    TEXT = 25;
    OID = 26;
    XID = 28;
    CID = 29;
    OIDVECTOR = 30;
    JSON = 114;
    FLOAT4 = 700;
    FLOAT8 = 701;
    UNKNOWN = 705;
    ACLITEM = 1033;
    BPCHAR = 1042;
    VARCHAR = 1043;
    DATE = 1082;
    TIME = 1083;
    TIMESTAMP = 1114;
    TIMESTAMPTZ = 1184;
    INTERVAL = 1186;
    NUMERIC = 1700;
    REGPROCEDURE = 2202;
    REGOPER = 2203;
    REGOPERATOR = 2204;
    REGCLASS = 2205;
    REGTYPE = 2206;
    RECORD = 2249;
    VOID = 2278;
    UUID = 2950;
    PG_LSN = 3220;
    REGCONFIG = 3734;
    REGDICTIONARY = 3769;
    JSONB = 3802;
    REGNAMESPACE = 4089;
    REGROLE = 4096;
    REGCOLLATION = 4191;
    XID8 = 5069;
    TEXT_ARRAY = 1009;
    NAME_ARRAY = 1003;
    ACLITEM_ARRAY = 1034;
    OID_ARRAY = 1028;
    INT4_ARRAY = 1007;
    JSONB_ARRAY = 3807;
    HSTORE = 16380;
    HSTORE_ARRAY = 16381;
}

/// Set in the OIDs of `map(k, v)` and of their arrays: the code of [`MapType::code`] is below it. OIDs that are
/// handed out one by one never get there.
const MAP: u32 = 1 << 30;
/// Set in the OIDs of arrays of `map(k, v)`.
const OF_MAPS: u32 = 1 << 29;
const _: () = assert!(MAP_CODE_BITS <= 29);

/// The OID of a map type's code.
pub fn of_map_code(code: u32) -> u32 {
    if code == HSTORE_CODE { HSTORE } else { MAP | code }
}

/// The map type with this OID and modifier.
pub fn map_type(oid: u32, modifier: i32) -> Option<MapType> {
    match oid {
        HSTORE => Some(MapType::hstore()),
        oid if is_map(oid) => MapType::from_code(oid & !MAP, modifier),
        _ => None,
    }
}

/// True for hstore and every `map(k, v)`.
pub fn is_map(oid: u32) -> bool {
    oid == HSTORE || oid & !((1 << MAP_CODE_BITS) - 1) == MAP
}

/// The type that clients are told instead of a map's, which none of them knows: text for hstore, jsonb for
/// `map(k, v)` (rule 41).
pub fn told(stated: WireType) -> WireType {
    let is_array = element_of(stated.oid).is_some_and(is_map);
    match stated.oid {
        HSTORE => wire(TEXT, -1),
        HSTORE_ARRAY => wire(TEXT_ARRAY, -1),
        oid if is_map(oid) => wire(JSONB, -1),
        _ if is_array => wire(JSONB_ARRAY, -1),
        _ => stated,
    }
}

/// The base type with this OID.
pub fn base(oid: u32) -> Option<&'static BaseType> {
    BASE_TYPES.binary_search_by_key(&oid, |t| t.oid).ok().map(|i| &BASE_TYPES[i])
}

/// The base type with this pg_type.typname or SQL name.
pub fn base_by_name(name: &str) -> Option<&'static BaseType> {
    BASE_TYPES.iter().find(|t| t.name == name || t.sql_name == name)
}

/// The element type of an array type, which is not `int2vector` or `oidvector`.
pub fn element_of(array: u32) -> Option<u32> {
    if array & (MAP | OF_MAPS) == MAP | OF_MAPS {
        return Some(array & !OF_MAPS).filter(|oid| is_map(*oid));
    }
    let found = BASE_TYPES.iter().find(|t| t.array == array && array != 0)?;
    Some(found.oid)
}

/// The array type of an element type.
pub fn array_of(element: u32) -> Option<u32> {
    if element & MAP != 0 && is_map(element) {
        return Some(element | OF_MAPS);
    }
    base(element).map(|t| t.array).filter(|oid| *oid != 0)
}

/// True for `oid` and its aliases: four unsigned bytes that name something.
pub fn is_oid_like(oid: u32) -> bool {
    matches!(
        oid,
        OID | REGPROC
            | REGPROCEDURE
            | REGOPER
            | REGOPERATOR
            | REGCLASS
            | REGTYPE
            | REGCONFIG
            | REGDICTIONARY
            | REGNAMESPACE
            | REGROLE
            | REGCOLLATION
            | XID
            | CID
    )
}

/// pg_type.typlen of a base or array type: -1 for those unknown here, as for all that vary.
pub fn size_of(oid: u32) -> i16 {
    base(oid).map_or(-1, |t| t.size)
}

/// The type with the size PostgreSQL reports for it.
pub fn wire(oid: u32, modifier: i32) -> WireType {
    WireType { oid, modifier, size: size_of(oid) }
}

/// pg_attribute.atttypmod of `numeric(precision, scale)`.
pub fn numeric_modifier(precision: u8, scale: i8) -> i32 {
    ((i32::from(precision) << 16) | (i32::from(scale) & 0x7ff)) + 4
}

/// Precision and scale of a numeric's modifier; `None` for a bare one and for one beyond 76 digits.
pub fn numeric_shape(modifier: i32) -> Option<(u8, i8)> {
    let bits = modifier.checked_sub(4).filter(|b| *b >= 0)?;
    let scale = ((bits & 0x7ff) ^ 0x400) - 0x400;
    Some((u8::try_from(bits >> 16).ok()?, i8::try_from(scale).ok()?))
}

/// The type, of text of any length: a value to compare with, not to store.
pub fn of_any_length(data_type: &DataType) -> WireType {
    let stated = of(data_type);
    match stated.oid {
        VARCHAR | BPCHAR => wire(stated.oid, -1),
        _ => stated,
    }
}

/// What a column type is on the wire.
pub fn of(data_type: &DataType) -> WireType {
    let modifier = match data_type {
        DataType::Numeric(Some((precision, scale))) => numeric_modifier(*precision, *scale),
        DataType::Varchar(Some(n)) | DataType::Char(n) => {
            i32::try_from(*n).map_or(-1, |n| n.saturating_add(4))
        }
        DataType::Array(element) => of(element).modifier,
        DataType::Map(map) => map.code().1,
        _ => -1,
    };
    wire(oid_of(data_type), modifier)
}

fn oid_of(data_type: &DataType) -> u32 {
    match data_type {
        DataType::Bool => BOOL,
        DataType::Int2 => INT2,
        DataType::Int4 => INT4,
        DataType::Int8 => INT8,
        DataType::Float4 => FLOAT4,
        DataType::Float8 => FLOAT8,
        DataType::Numeric(_) => NUMERIC,
        DataType::Text => TEXT,
        DataType::Varchar(_) => VARCHAR,
        DataType::Char(_) => BPCHAR,
        DataType::Bytea => BYTEA,
        DataType::Date => DATE,
        DataType::Time => TIME,
        DataType::Timestamp => TIMESTAMP,
        DataType::TimestampTz => TIMESTAMPTZ,
        DataType::Interval => INTERVAL,
        DataType::Uuid => UUID,
        DataType::Json => JSON,
        DataType::Jsonb => JSONB,
        DataType::Array(element) => array_of(oid_of(element)).unwrap_or(TEXT_ARRAY),
        DataType::Map(map) => of_map_code(map.code().0),
    }
}

/// The column type of a type on the wire; `None` for those no column can have. A `bpchar` without a length,
/// the type of some expressions, is `Char(0)`: never padded.
pub fn data_type(oid: u32, modifier: i32) -> Option<DataType> {
    let length = u32::try_from(modifier.saturating_sub(4)).ok();
    Some(match oid {
        BOOL => DataType::Bool,
        INT2 => DataType::Int2,
        INT4 => DataType::Int4,
        INT8 => DataType::Int8,
        FLOAT4 => DataType::Float4,
        FLOAT8 => DataType::Float8,
        NUMERIC if modifier < 4 => DataType::Numeric(None),
        NUMERIC => DataType::Numeric(Some(numeric_shape(modifier)?)),
        TEXT => DataType::Text,
        VARCHAR => DataType::Varchar(length),
        BPCHAR => DataType::Char(length.unwrap_or(0)),
        BYTEA => DataType::Bytea,
        DATE => DataType::Date,
        TIME => DataType::Time,
        TIMESTAMP => DataType::Timestamp,
        TIMESTAMPTZ => DataType::TimestampTz,
        INTERVAL => DataType::Interval,
        UUID => DataType::Uuid,
        JSON => DataType::Json,
        JSONB => DataType::Jsonb,
        map if is_map(map) => DataType::Map(Box::new(map_type(map, modifier)?)),
        array => DataType::Array(Box::new(data_type(element_of(array)?, modifier)?)),
    })
}

/// The Arrow type that values of a type on the wire have in plans. For column types that of
/// [`DataType::arrow`]; `oid` and its kin are UInt32, other types are text.
pub fn arrow(oid: u32, modifier: i32) -> ArrowType {
    if let Some(known) = data_type(oid, modifier) {
        return known.arrow();
    }
    match oid {
        oid if is_oid_like(oid) => ArrowType::UInt32,
        XID8 => ArrowType::UInt64,
        INT2VECTOR => ArrowType::new_list(ArrowType::Int16, true),
        OIDVECTOR => ArrowType::new_list(ArrowType::UInt32, true),
        oid => match element_of(oid) {
            Some(element) => ArrowType::new_list(arrow(element, modifier), true),
            None => ArrowType::Utf8View,
        },
    }
}

/// The type of an Arrow value that has no metadata.
pub fn of_arrow(arrow: &ArrowType) -> WireType {
    let oid = match arrow {
        ArrowType::Boolean => BOOL,
        ArrowType::Int8 | ArrowType::Int16 | ArrowType::UInt8 => INT2,
        ArrowType::Int32 | ArrowType::UInt16 => INT4,
        ArrowType::Int64 | ArrowType::UInt32 | ArrowType::UInt64 => INT8,
        ArrowType::Float16 | ArrowType::Float32 => FLOAT4,
        ArrowType::Float64 => FLOAT8,
        ArrowType::Decimal32(..) | ArrowType::Decimal64(..) => NUMERIC,
        ArrowType::Decimal128(..) | ArrowType::Decimal256(..) => NUMERIC,
        ArrowType::Binary | ArrowType::BinaryView => BYTEA,
        // Only maps are held so; which one, metadata says.
        ArrowType::LargeBinary => HSTORE,
        ArrowType::FixedSizeBinary(16) => UUID,
        ArrowType::FixedSizeBinary(_) => BYTEA,
        ArrowType::Date32 | ArrowType::Date64 => DATE,
        ArrowType::Time32(_) | ArrowType::Time64(_) => TIME,
        ArrowType::Timestamp(_, None) => TIMESTAMP,
        ArrowType::Timestamp(_, Some(_)) => TIMESTAMPTZ,
        ArrowType::Interval(_) | ArrowType::Duration(_) => INTERVAL,
        ArrowType::Struct(_) => RECORD,
        ArrowType::List(element)
        | ArrowType::LargeList(element)
        | ArrowType::ListView(element)
        | ArrowType::LargeListView(element)
        | ArrowType::FixedSizeList(element, _) => {
            let element = of_field(element);
            return wire(array_of(element.oid).unwrap_or(TEXT_ARRAY), element.modifier);
        }
        ArrowType::Dictionary(_, values) => return of_arrow(values),
        ArrowType::RunEndEncoded(_, values) => return of_field(values),
        // Strings, NULL without a type, and what SQL has no name for: shown as text.
        _ => TEXT,
    };
    wire(oid, -1)
}

/// What values of an Arrow type are, whatever their width and scale.
fn arrow_kind(arrow: &ArrowType) -> u8 {
    match arrow {
        ArrowType::Null => 0,
        ArrowType::Boolean => 1,
        ArrowType::Int8 | ArrowType::Int16 => 2,
        ArrowType::Int32 => 3,
        ArrowType::Int64 => 4,
        ArrowType::UInt32 => 5,
        ArrowType::UInt64 => 6,
        ArrowType::Float32 => 7,
        ArrowType::Float64 => 8,
        ArrowType::Decimal128(..) | ArrowType::Decimal256(..) => 9,
        ArrowType::Date32 => 10,
        ArrowType::Time64(_) => 11,
        ArrowType::Timestamp(_, None) => 12,
        ArrowType::Timestamp(_, Some(_)) => 13,
        ArrowType::Interval(_) => 14,
        ArrowType::Utf8 | ArrowType::LargeUtf8 | ArrowType::Utf8View => 15,
        ArrowType::Binary | ArrowType::BinaryView => 16,
        ArrowType::LargeBinary => 20,
        ArrowType::FixedSizeBinary(_) => 17,
        ArrowType::List(_) | ArrowType::LargeList(_) => 18,
        ArrowType::Dictionary(_, values) => arrow_kind(values),
        _ => 19,
    }
}

/// The type of an Arrow field: its metadata's, else what its Arrow type says.
pub fn of_field(field: &Field) -> WireType {
    let stated = field.metadata().get(METADATA_KEY).and_then(|text| parse_metadata(text));
    // A planner that unites two branches keeps the metadata of one and the Arrow type of both.
    let fits = |stated: &WireType| {
        arrow_kind(&arrow(stated.oid, stated.modifier)) == arrow_kind(field.data_type())
            // As functions of maps are given them where a join repeats them.
            || (is_map(stated.oid) && *field.data_type() == ArrowType::BinaryView)
    };
    stated.filter(fits).unwrap_or_else(|| of_arrow(field.data_type()))
}

/// Reads `oid:modifier`.
pub fn parse_metadata(text: &str) -> Option<WireType> {
    let (oid, modifier) = text.split_once(':')?;
    Some(wire(oid.parse().ok()?, modifier.parse().ok()?))
}

/// An Arrow field of a column type, with metadata where the Arrow type alone would say another type.
pub fn field(name: &str, data_type: &DataType, nullable: bool) -> Field {
    let arrow = data_type.arrow();
    with_type(Field::new(name, arrow, nullable), of(data_type))
}

/// States a field's type in its metadata, where its Arrow type alone would say another.
pub fn with_type(field: Field, wire_type: WireType) -> Field {
    let mut metadata: HashMap<String, String> = field.metadata().clone();
    metadata.remove(METADATA_KEY);
    if of_arrow(field.data_type()) != wire_type {
        let text = format!("{}:{}", wire_type.oid, wire_type.modifier);
        metadata.insert(METADATA_KEY.to_owned(), text);
    }
    field.with_metadata(metadata)
}

/// PostgreSQL's format_type: the SQL name with its modifier, `???` for no such type.
pub fn format_type(oid: u32, modifier: Option<i32>) -> String {
    if let Some(base) = base(oid) {
        return format_base(base, modifier);
    }
    if let Some(map) = map_type(oid, modifier.unwrap_or(-1)) {
        return map.to_string();
    }
    let element = element_of(oid);
    if let Some(map) = element.and_then(|oid| map_type(oid, modifier.unwrap_or(-1))) {
        return format!("{map}[]");
    }
    match element.and_then(base) {
        Some(element) => format!("{}[]", format_base(element, modifier)),
        None if oid == 0 => "-".to_owned(),
        None => "???".to_owned(),
    }
}

fn format_base(base: &BaseType, modifier: Option<i32>) -> String {
    let name = base.sql_name;
    let Some(modifier) = modifier.filter(|m| *m >= 0) else {
        // `character` alone means character(1), so a bpchar without length must not be called that.
        let bare_bpchar = base.oid == BPCHAR && modifier.is_some();
        return if bare_bpchar { "bpchar".to_owned() } else { name.to_owned() };
    };
    match base.oid {
        VARCHAR | BPCHAR if modifier >= 4 => format!("{name}({})", modifier - 4),
        NUMERIC => match numeric_shape(modifier) {
            Some((precision, scale)) => format!("{name}({precision},{scale})"),
            None => name.to_owned(),
        },
        TIME | TIMESTAMP | TIMESTAMPTZ => match name.split_once(' ') {
            Some((head, tail)) => format!("{head}({modifier}) {tail}"),
            None => name.to_owned(),
        },
        _ => name.to_owned(),
    }
}
