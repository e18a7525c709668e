//! Functions and operators of hstore and `map(k, v)`.
//!
//! | module | what it holds |
//! |---|---|
//! | [`operators`] | which operator means which function |
//! | `arguments` | arguments as maps, keys and lists of keys |
//! | `build` | hstore() |
//! | `cast` | casts to, from and between maps |
//! | `compute` | what each function makes of its arguments |
//! | [`part`] | some of a map's entries |
//!
//! `m -> k`, `m['k']` and fetchval() are one function, [`GET`], as `m ? k` and exist() are [`EXISTS`]: a scan that
//! reads one key of a column knows them by these names. A function finds out its map's type from the field of its
//! first argument, and reads whatever else it is given as that type's keys, or as a map of that type.

mod arguments;
pub mod build;
pub mod cast;
mod compute;
pub mod operators;
pub mod part;

use super::undefined;
use crate::error::SqlError;
use crate::plan::errors::external;
use crate::session::response::WireType;
use crate::types::oid;
use arguments::Given;
use arrow::array::ArrayRef;
use arrow::datatypes::{DataType, Field, FieldRef, Fields};
use datafusion::common::ScalarValue;
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::{
    ColumnarValue, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
    Volatility,
};
use std::sync::{Arc, LazyLock};
use terrane_client::types::{DataType as ValueType, MapType};

/// The value of a key; NULL where there is none.
pub const GET: &str = "map_get";
/// The values of an array of keys.
pub const GET_ALL: &str = "map_get_all";
/// Whether there is a key.
pub const EXISTS: &str = "map_exists";
/// Whether there is one of an array of keys.
pub const EXISTS_ANY: &str = "map_exists_any";
/// Whether there is each of an array of keys.
pub const EXISTS_ALL: &str = "map_exists_all";
/// Whether a key has a value that is not NULL.
pub const DEFINED: &str = "map_defined";
/// Whether a map has all the entries of another.
pub const CONTAINS: &str = "map_contains";
/// The entries of both, those of the second where both have a key.
pub const CONCAT: &str = "map_concat";
/// A map with a key's value: what `SET m['k'] = v` assigns.
pub const PUT: &str = "map_put";
/// A map without a key, an array of keys, or the entries of another map.
pub const DELETE: &str = "map_delete";
/// The entries of an array of keys.
pub const SLICE: &str = "map_slice";
/// The keys, an array.
pub const KEYS: &str = "map_keys";
/// The values, an array.
pub const VALUES: &str = "map_values";
/// The entries, an array of rows.
pub const ENTRIES: &str = "map_entries";
/// The keys and values in turn, an array: of hstore only.
pub const ALTERNATING: &str = "hstore_to_array";
/// A map as json.
pub const JSON: &str = "hstore_to_json";
/// A map as jsonb.
pub const JSONB: &str = "hstore_to_jsonb";

/// One of the functions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Op {
    Get,
    GetAll,
    Exists,
    ExistsAny,
    ExistsAll,
    Defined,
    Contains,
    Contained,
    Concat,
    Put,
    Delete,
    Slice,
    Keys,
    Values,
    Entries,
    Alternating,
    Json,
    Jsonb,
}

/// What an argument after the map is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Role {
    Map,
    Key,
    Keys,
}

impl Op {
    const ALL: [Self; 18] = [
        Self::Get,
        Self::GetAll,
        Self::Exists,
        Self::ExistsAny,
        Self::ExistsAll,
        Self::Defined,
        Self::Contains,
        Self::Contained,
        Self::Concat,
        Self::Put,
        Self::Delete,
        Self::Slice,
        Self::Keys,
        Self::Values,
        Self::Entries,
        Self::Alternating,
        Self::Json,
        Self::Jsonb,
    ];

    /// Its name, and PostgreSQL's where that is another.
    fn names(self) -> (&'static str, &'static [&'static str]) {
        match self {
            Self::Get => (GET, &["fetchval"]),
            Self::GetAll => (GET_ALL, &["slice_array"]),
            Self::Exists => (EXISTS, &["exist", "isexists"]),
            Self::ExistsAny => (EXISTS_ANY, &["exists_any"]),
            Self::ExistsAll => (EXISTS_ALL, &["exists_all"]),
            Self::Defined => (DEFINED, &["defined", "isdefined"]),
            Self::Contains => (CONTAINS, &["hs_contains"]),
            Self::Contained => ("map_contained", &["hs_contained"]),
            Self::Concat => (CONCAT, &["hs_concat"]),
            Self::Put => (PUT, &[]),
            Self::Delete => (DELETE, &["delete"]),
            Self::Slice => (SLICE, &["slice"]),
            Self::Keys => (KEYS, &["akeys"]),
            Self::Values => (VALUES, &["avals"]),
            Self::Entries => (ENTRIES, &[]),
            Self::Alternating => (ALTERNATING, &[]),
            Self::Json => (JSON, &[]),
            Self::Jsonb => (JSONB, &[]),
        }
    }

    /// What its second argument may be.
    fn second(self) -> &'static [Role] {
        match self {
            Self::Get | Self::Exists | Self::Defined | Self::Put => &[Role::Key],
            Self::GetAll | Self::ExistsAny | Self::ExistsAll | Self::Slice => &[Role::Keys],
            Self::Contains | Self::Contained | Self::Concat => &[Role::Map],
            Self::Delete => &[Role::Key, Role::Keys, Role::Map],
            Self::Keys | Self::Values | Self::Entries => &[],
            Self::Alternating | Self::Json | Self::Jsonb => &[],
        }
    }
}

/// A function of maps.
#[derive(Debug, PartialEq, Eq, Hash)]
pub struct MapFunction {
    op: Op,
    aliases: Vec<String>,
    signature: Signature,
}

static ALL: LazyLock<Vec<Arc<ScalarUDF>>> = LazyLock::new(|| {
    let function = |op: Op| MapFunction {
        op,
        aliases: op.names().1.iter().map(|name| (*name).to_owned()).collect(),
        // Text among the arguments may be read as instants, in the session's zone.
        signature: Signature::user_defined(Volatility::Stable),
    };
    Op::ALL.map(|op| Arc::new(ScalarUDF::new_from_impl(function(op)))).to_vec()
});

/// All of them.
pub fn all() -> impl Iterator<Item = Arc<ScalarUDF>> {
    ALL.iter().cloned()
}

/// The function of this name: [`GET`] and its kin.
pub fn function(name: &str) -> Option<Arc<ScalarUDF>> {
    ALL.iter().find(|function| function.name() == name).cloned()
}

impl MapFunction {
    /// The type of the map, and the role of the second argument.
    fn shape(&self, fields: &[FieldRef]) -> Result<(MapType, Option<Role>)> {
        let none = || {
            let types = fields.iter().map(|field| match field.data_type().is_null() {
                true => "unknown".to_owned(),
                false => {
                    let stated = oid::of_field(field);
                    oid::format_type(stated.oid, Some(stated.modifier).filter(|m| *m >= 0))
                }
            });
            external(undefined::named(self.op.names().0, &types.collect::<Vec<_>>()))
        };
        let roles = self.op.second();
        let (map, second) = match fields {
            [map] if roles.is_empty() => (map, None),
            [map, second] if !roles.is_empty() && self.op != Op::Put => (map, Some(second)),
            [map, second, _] if self.op == Op::Put => (map, Some(second)),
            _ => return Err(none()),
        };
        let is_operand = roles == [Role::Map];
        let of = arguments::map_type(map)
            // A literal beside a map.
            .or_else(|| second.filter(|_| is_operand).and_then(arguments::map_type))
            .or_else(|| arguments::is_unknown(map).then(MapType::hstore))
            .ok_or_else(none)?;
        if self.op == Op::Alternating && of != MapType::hstore() {
            return Err(none());
        }
        let Some(second) = second else { return Ok((of, None)) };
        let fits = |role: &&Role| {
            arguments::fits(map, Role::Map, &of) && arguments::fits(second, **role, &of)
        };
        let role = roles.iter().find(fits).ok_or_else(none)?;
        if let Some(value) = fields.get(2) {
            arguments::check_value(value, &of)?;
        }
        Ok((of, Some(*role)))
    }

    fn returns(&self, of: &MapType) -> Result<Returned> {
        let key = oid::of(of.key());
        let value = oid::of(of.value());
        let list = |element: WireType| {
            let array = oid::array_of(element.oid).map(|array| oid::wire(array, element.modifier));
            array.map(Returned::Of).ok_or_else(|| {
                DataFusionError::Internal("a type of keys or values without arrays".to_owned())
            })
        };
        Ok(match self.op {
            Op::Get => Returned::Of(value),
            Op::GetAll | Op::Values => list(value)?,
            Op::Keys => list(key)?,
            Op::Exists | Op::ExistsAny | Op::ExistsAll | Op::Defined => {
                Returned::Of(oid::wire(oid::BOOL, -1))
            }
            Op::Contains | Op::Contained => Returned::Of(oid::wire(oid::BOOL, -1)),
            Op::Concat | Op::Put | Op::Delete | Op::Slice => {
                Returned::Of(oid::of(&ValueType::Map(Box::new(of.clone()))))
            }
            Op::Alternating => Returned::Of(oid::wire(oid::TEXT_ARRAY, -1)),
            Op::Json => Returned::Of(oid::wire(oid::JSON, -1)),
            Op::Jsonb => Returned::Of(oid::wire(oid::JSONB, -1)),
            Op::Entries => Returned::Rows(Fields::from(vec![
                oid::field("key", of.key(), true),
                oid::field("value", of.value(), true),
            ])),
        })
    }
}

enum Returned {
    Of(WireType),
    Rows(Fields),
}

impl ScalarUDFImpl for MapFunction {
    fn name(&self) -> &str {
        self.op.names().0
    }

    fn aliases(&self) -> &[String] {
        &self.aliases
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, args: &[DataType]) -> Result<Vec<DataType>> {
        // What an argument becomes depends on the map's type, which is not among these.
        Ok(args.to_vec())
    }

    fn return_type(&self, args: &[DataType]) -> Result<DataType> {
        Err(external(undefined::function(self.name(), args)))
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<FieldRef> {
        let (of, _) = self.shape(args.arg_fields)?;
        Ok(Arc::new(match self.returns(&of)? {
            Returned::Of(wire_type) => {
                let arrow = oid::arrow(wire_type.oid, wire_type.modifier);
                oid::with_type(Field::new(self.name(), arrow, true), wire_type)
            }
            Returned::Rows(fields) => {
                let row = Field::new("item", DataType::Struct(fields), true);
                Field::new(self.name(), DataType::List(Arc::new(row)), true)
            }
        }))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let (of, role) = self.shape(&args.arg_fields)?;
        let is_scalar = args.args.iter().all(|arg| matches!(arg, ColumnarValue::Scalar(_)));
        let rows = if is_scalar { 1 } else { args.number_rows };
        let computed = self.compute(&args, &of, role, rows).map_err(external)?;
        Ok(match is_scalar {
            true => ColumnarValue::Scalar(ScalarValue::try_from_array(&computed, 0)?),
            false => ColumnarValue::Array(computed),
        })
    }
}

impl MapFunction {
    fn compute(
        &self,
        args: &ScalarFunctionArgs,
        of: &MapType,
        role: Option<Role>,
        rows: usize,
    ) -> std::result::Result<ArrayRef, SqlError> {
        let info = crate::session::info::of(&args.config_options);
        let given = Given { args, of, rows, info: &info };
        match self.op {
            Op::Json => return given.as_text(oid::JSON),
            Op::Jsonb => return given.as_text(oid::JSONB),
            _ => {}
        }
        let maps = given.maps(0)?;
        match role {
            Some(Role::Key) if self.op == Op::Put => {
                compute::put(&maps, &given.new_keys(1)?, &given.new_values(2)?, &given)
            }
            None => compute::of_one(self.op, &maps, &given),
            Some(Role::Key) => compute::of_key(self.op, &maps, &given.keys(1)?, &given),
            Some(Role::Keys) => compute::of_keys(self.op, &maps, &given.lists(1)?, &given),
            Some(Role::Map) => compute::of_two(self.op, &maps, &given.maps(1)?, &given),
        }
    }
}
