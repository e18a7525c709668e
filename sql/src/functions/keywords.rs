//! pg_get_keywords(): the words PostgreSQL's grammar knows, in FROM.

use crate::catalog::system::fixed;
use crate::error::{SqlError, SqlState};
use crate::plan::errors::external;
use crate::types::oid;
use arrow::array::{ArrayRef, BooleanArray, StringViewArray};
use arrow::datatypes::{DataType, Field, Schema};
use arrow::record_batch::RecordBatch;
use datafusion::catalog::{TableFunctionArgs, TableFunctionImpl, TableProvider};
use datafusion::datasource::MemTable;
use datafusion::error::Result;
use std::sync::Arc;

/// Its name in SQL.
pub const NAME: &str = "pg_get_keywords";

/// The function.
#[derive(Debug)]
pub struct Keywords;

impl TableFunctionImpl for Keywords {
    fn call_with_args(&self, args: TableFunctionArgs<'_, '_>) -> Result<Arc<dyn TableProvider>> {
        if !args.exprs().is_empty() {
            let message = "function pg_get_keywords(...) does not exist";
            return Err(external(SqlError::new(SqlState::UNDEFINED_FUNCTION, message)));
        }
        let (header, rows) = fixed::table(include_str!("../catalog/static/pg_get_keywords.csv"));
        let (mut fields, mut columns) = (Vec::new(), Vec::<ArrayRef>::new());
        for (at, name) in header.iter().enumerate() {
            let cells = rows.iter().map(|row| row.get(at).and_then(Option::as_deref));
            match name.as_str() {
                "barelabel" => {
                    fields.push(Field::new(name, DataType::Boolean, true));
                    let labels: BooleanArray = cells.map(|cell| cell.map(|c| c == "t")).collect();
                    columns.push(Arc::new(labels));
                }
                _ => {
                    let type_oid = if name == "catcode" { oid::CHAR } else { oid::TEXT };
                    let field = Field::new(name, DataType::Utf8View, true);
                    fields.push(oid::with_type(field, oid::wire(type_oid, -1)));
                    columns.push(Arc::new(cells.collect::<StringViewArray>()));
                }
            }
        }
        let schema = Arc::new(Schema::new(fields));
        let batch = RecordBatch::try_new(Arc::clone(&schema), columns)?;
        Ok(Arc::new(MemTable::try_new(schema, vec![vec![batch]])?))
    }
}
