use super::pieces::{MapPiecesExec, PIECE_BYTES_MAX};
use super::*;
use crate::functions::map;
use crate::session::info::SessionInfo;
use crate::types;
use arrow::array::{
    Array, ArrayRef, AsArray, Int32Array, LargeBinaryArray, ListArray, StringViewArray,
};
use arrow::buffer::OffsetBuffer;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use arrow::record_batch::RecordBatch;
use arrow::util::pretty::pretty_format_batches;
use datafusion::common::{JoinSide, JoinType, NullEquality, UnnestOptions};
use datafusion::datasource::memory::MemorySourceConfig;
use datafusion::execution::TaskContext;
use datafusion::logical_expr::Operator;
use datafusion::physical_expr::expressions::{BinaryExpr, Column, IsNotNullExpr, IsNullExpr};
use datafusion::physical_expr::projection::ProjectionExpr;
use datafusion::physical_expr::{PhysicalExpr, ScalarFunctionExpr, conjunction};
use datafusion::physical_plan::displayable;
use datafusion::physical_plan::filter::FilterExec;
use datafusion::physical_plan::joins::utils::{ColumnIndex, JoinFilter};
use datafusion::physical_plan::joins::{
    CrossJoinExec, HashJoinExec, NestedLoopJoinExec, PartitionMode,
};
use datafusion::physical_plan::projection::ProjectionExec;
use datafusion::physical_plan::unnest::{ListUnnest, UnnestExec};
use terrane_client::types::MapType;
use terrane_client::value::Value;

const JOIN_TYPES: [JoinType; 10] = [
    JoinType::Inner,
    JoinType::Left,
    JoinType::Right,
    JoinType::Full,
    JoinType::LeftSemi,
    JoinType::RightSemi,
    JoinType::LeftAnti,
    JoinType::RightAnti,
    JoinType::LeftMark,
    JoinType::RightMark,
];

/// A map with a key for each of these letters, whose values are so many bytes.
fn map_of(letters: &str, length: usize) -> Vec<u8> {
    let value = |_| Value::Text("v".repeat(length));
    let entries = letters.chars().map(|letter| (Value::Text(letter.to_string()), value(letter)));
    types::map::to_cell(&Value::Map(entries.collect()), &MapType::hstore()).unwrap()
}

fn schema(prefix: &str) -> SchemaRef {
    Arc::new(Schema::new(vec![
        Field::new(format!("{prefix}_id"), DataType::Int32, true),
        Field::new(format!("{prefix}_key"), DataType::Utf8View, true),
        Field::new(format!("{prefix}_map"), DataType::LargeBinary, true),
    ]))
}

/// Rows in batches of three, drawn by a congruential generator.
fn table(prefix: &str, rows: usize, seed: u64) -> Arc<dyn ExecutionPlan> {
    let maps = [None, Some(map_of("", 0)), Some(map_of("a", 1)), Some(map_of("abc", 40))];
    let mut state = seed;
    let mut draw = |below: u64| {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from((state >> 33) % below).unwrap()
    };
    let schema = schema(prefix);
    let mut batches = Vec::new();
    for first in (0..rows).step_by(3) {
        let count = 3.min(rows - first);
        let ids: Vec<_> = (0..count).map(|_| Some(draw(7) as i32).filter(|id| *id < 6)).collect();
        let keys: Vec<_> = (0..count).map(|_| [None, Some("a"), Some("z")][draw(3)]).collect();
        let cells: Vec<_> = (0..count).map(|_| maps[draw(4)].as_deref()).collect();
        let columns: Vec<ArrayRef> = vec![
            Arc::new(Int32Array::from(ids)),
            Arc::new(StringViewArray::from(keys)),
            Arc::new(LargeBinaryArray::from(cells)),
        ];
        let batch = RecordBatch::try_new(Arc::clone(&schema), columns).unwrap();
        // A slice's maps do not start where its bytes do.
        batches.push(if count > 1 { batch.slice(1, count - 1) } else { batch });
    }
    MemorySourceConfig::try_new_exec(&[batches], schema, None).unwrap()
}

fn column(name: &str, at: usize) -> Arc<dyn PhysicalExpr> {
    Arc::new(Column::new(name, at))
}

fn compared(
    left: Arc<dyn PhysicalExpr>,
    by: Operator,
    right: Arc<dyn PhysicalExpr>,
) -> Arc<dyn PhysicalExpr> {
    Arc::new(BinaryExpr::new(left, by, right))
}

/// `map -> key`, which takes views.
fn looked_up(
    map: Arc<dyn PhysicalExpr>,
    key: Arc<dyn PhysicalExpr>,
    schema: &Schema,
) -> Arc<dyn PhysicalExpr> {
    let mut options = ConfigOptions::default();
    options.extensions.insert(SessionInfo::default());
    let function = map::function(map::GET).unwrap();
    let call = ScalarFunctionExpr::try_new(function, vec![map, key], schema, Arc::new(options));
    Arc::new(call.unwrap())
}

/// Conditions over the columns of both sides but the keys of the left: of none, of views, of cells.
fn filters() -> Vec<Option<JoinFilter>> {
    let [left, right] = [schema("l"), schema("r")];
    let from = |index, side| ColumnIndex { index, side };
    let indices = vec![
        from(0, JoinSide::Left),
        from(2, JoinSide::Left),
        from(0, JoinSide::Right),
        from(1, JoinSide::Right),
        from(2, JoinSide::Right),
    ];
    let fields = [
        &left.fields()[0],
        &left.fields()[2],
        &right.fields()[0],
        &right.fields()[1],
        &right.fields()[2],
    ];
    let both = Arc::new(Schema::new(fields.map(Arc::clone).to_vec()));
    let [l_id, l_map] = [column("l_id", 0), column("l_map", 1)];
    let [r_id, r_key, r_map] = [column("r_id", 2), column("r_key", 3), column("r_map", 4)];
    let found = looked_up(Arc::clone(&l_map), r_key, &both);
    let by_id = compared(l_id, Operator::Lt, r_id);
    let is_found: Arc<dyn PhysicalExpr> = Arc::new(IsNotNullExpr::new(found));
    let same = compared(Arc::clone(&l_map), Operator::Eq, Arc::clone(&r_map));
    let no_map: Arc<dyn PhysicalExpr> = Arc::new(IsNullExpr::new(r_map));
    let filter = |expr| Some(JoinFilter::new(expr, indices.clone(), Arc::clone(&both)));
    vec![
        None,
        filter(Arc::clone(&by_id)),
        filter(Arc::clone(&is_found)),
        filter(Arc::clone(&same)),
        filter(conjunction([Arc::clone(&by_id), Arc::clone(&is_found)])),
        filter(compared(conjunction([by_id, same]), Operator::Or, conjunction([is_found, no_map]))),
    ]
}

async fn batches_of(plan: Arc<dyn ExecutionPlan>) -> Vec<RecordBatch> {
    datafusion::physical_plan::collect(plan, Arc::new(TaskContext::default())).await.unwrap()
}

async fn rows_of(plan: Arc<dyn ExecutionPlan>) -> Vec<String> {
    // A hash join keeps what it has read of its left side.
    let plan = datafusion::physical_plan::execution_plan::reset_plan_states(plan).unwrap();
    let shown = pretty_format_batches(&batches_of(plan).await).unwrap().to_string();
    // Below a line, the names and another line; without batches there are no names.
    let rows = shown.lines().skip(3).filter(|line| line.starts_with('|'));
    let mut rows: Vec<String> = rows.map(str::to_owned).collect();
    rows.sort();
    rows
}

fn carrying(plan: &Arc<dyn ExecutionPlan>) -> Arc<dyn ExecutionPlan> {
    let carrying = CarriedMaps.optimize(Arc::clone(plan), &ConfigOptions::default()).unwrap();
    assert_eq!(carrying.schema(), plan.schema());
    carrying
}

/// Checks that the rule changes how a plan works and not what it answers.
async fn check(plan: Arc<dyn ExecutionPlan>) {
    let changed = carrying(&plan);
    let shown = displayable(changed.as_ref()).indent(false).to_string();
    assert!(!Arc::ptr_eq(&changed, &plan), "{shown}");
    assert_eq!(rows_of(changed).await, rows_of(plan).await, "{shown}");
}

#[tokio::test]
async fn nested_loop_joins_answer_the_same() {
    for join_type in JOIN_TYPES {
        for (at, filter) in filters().into_iter().enumerate() {
            for (left, right) in [(11, 20), (20, 11), (3, 0), (0, 3)] {
                let seed = (at * 100 + left) as u64;
                let join = NestedLoopJoinExec::try_new(
                    table("l", left, seed),
                    table("r", right, seed + 1),
                    filter.clone(),
                    &join_type,
                    None,
                );
                check(Arc::new(join.unwrap())).await;
            }
        }
    }
}

#[tokio::test]
async fn hash_joins_answer_the_same() {
    for join_type in JOIN_TYPES {
        for filter in filters() {
            // By id, and by map: maps are keys of joins, too.
            for on in [vec![0], vec![2], vec![0, 2]] {
                let side = |prefix: &str, at: usize| {
                    column(&format!("{prefix}_{}", ["id", "key", "map"][at]), at)
                };
                let on = on.into_iter().map(|at| (side("l", at), side("r", at))).collect();
                let join = HashJoinExec::try_new(
                    table("l", 20, 3),
                    table("r", 17, 4),
                    on,
                    filter.clone(),
                    &join_type,
                    None,
                    PartitionMode::CollectLeft,
                    NullEquality::NullEqualsNothing,
                    false,
                );
                check(Arc::new(join.unwrap())).await;
            }
        }
    }
}

#[tokio::test]
async fn a_chain_of_joins_carries_maps_from_end_to_end() {
    let first: Arc<dyn ExecutionPlan> =
        Arc::new(CrossJoinExec::new(table("a", 7, 1), table("b", 5, 2)));
    let condition: Arc<dyn PhysicalExpr> = Arc::new(IsNotNullExpr::new(column("b_map", 5)));
    let some: Arc<dyn ExecutionPlan> = Arc::new(FilterExec::try_new(condition, first).unwrap());
    let join = NestedLoopJoinExec::try_new(
        some,
        table("c", 6, 3),
        None,
        &JoinType::Full,
        Some(vec![2, 8, 0]),
    );
    let join: Arc<dyn ExecutionPlan> = Arc::new(join.unwrap());
    let shown = displayable(carrying(&join).as_ref()).indent(false).to_string();
    let names: Vec<&str> =
        shown.lines().filter_map(|line| line.trim().split([':', ' ']).next()).collect();
    assert_eq!(
        names,
        [
            "MapPiecesExec",
            "NestedLoopJoinExec",
            "FilterExec",
            "CrossJoinExec",
            "ProjectionExec",
            "DataSourceExec",
            "ProjectionExec",
            "DataSourceExec",
            "ProjectionExec",
            "DataSourceExec"
        ],
        "{shown}"
    );
    check(join).await;
}

#[tokio::test]
async fn maps_that_a_join_does_not_give_out_are_not_made_again() {
    let join = |projection| -> Arc<dyn ExecutionPlan> {
        let [left, right] = [table("l", 9, 1), table("r", 9, 2)];
        let filter = filters().pop().unwrap();
        Arc::new(
            NestedLoopJoinExec::try_new(left, right, filter, &JoinType::Left, projection).unwrap(),
        )
    };
    let without = join(Some(vec![3, 0]));
    assert!(carrying(&without).is::<NestedLoopJoinExec>());
    check(without).await;
    assert!(carrying(&join(None)).is::<MapPiecesExec>());
}

#[tokio::test]
async fn plans_without_maps_are_left_alone() {
    let narrow = |prefix| -> Arc<dyn ExecutionPlan> {
        MemorySourceConfig::try_new_exec(&[vec![]], schema(prefix), Some(vec![0, 1])).unwrap()
    };
    let join: Arc<dyn ExecutionPlan> = Arc::new(CrossJoinExec::new(narrow("l"), narrow("r")));
    assert!(Arc::ptr_eq(&carrying(&join), &join));
    let scan = table("l", 3, 1);
    assert!(Arc::ptr_eq(&carrying(&scan), &scan));
}

#[tokio::test]
async fn projections_look_into_maps_that_stay_carried() {
    let join: Arc<dyn ExecutionPlan> =
        Arc::new(CrossJoinExec::new(table("l", 9, 1), table("r", 9, 2)));
    let found = looked_up(column("l_map", 2), column("r_key", 4), &join.schema());
    let no_map: Arc<dyn PhysicalExpr> = Arc::new(IsNullExpr::new(column("r_map", 5)));
    let columns = [(found, "found"), (no_map, "none"), (column("l_map", 2), "m")];
    let columns = columns.map(|(expr, alias)| ProjectionExpr { expr, alias: alias.to_owned() });
    let projection: Arc<dyn ExecutionPlan> =
        Arc::new(ProjectionExec::try_new(columns, join).unwrap());
    let condition: Arc<dyn PhysicalExpr> = Arc::new(IsNotNullExpr::new(column("found", 0)));
    let filter: Arc<dyn ExecutionPlan> =
        Arc::new(FilterExec::try_new(condition, projection).unwrap());
    // Nothing that collects rows is given the maps themselves.
    let changed = carrying(&filter);
    assert!(changed.is::<MapPiecesExec>() && changed.children()[0].is::<FilterExec>());
    check(filter).await;
}

/// One row with a map of 3 MB.
fn large(prefix: &str) -> Arc<dyn ExecutionPlan> {
    let columns: Vec<ArrayRef> = vec![
        Arc::new(Int32Array::from(vec![1])),
        Arc::new(StringViewArray::from(vec!["a"])),
        Arc::new(LargeBinaryArray::from_iter_values([map_of("abc", 1 << 20)])),
    ];
    let batch = RecordBatch::try_new(schema(prefix), columns).unwrap();
    MemorySourceConfig::try_new_exec(&[vec![batch]], schema(prefix), None).unwrap()
}

#[tokio::test]
async fn what_is_repeated_comes_in_pieces() {
    let join: Arc<dyn ExecutionPlan> = Arc::new(CrossJoinExec::new(large("l"), table("r", 60, 5)));
    let rows = rows_of(table("r", 60, 5)).await.len();
    let mut pieces = 0;
    let mut joined = 0;
    for batch in batches_of(carrying(&join)).await {
        let maps = batch.column(2).as_binary::<i64>();
        assert!(maps.value_data().len() <= PIECE_BYTES_MAX && maps.null_count() == 0);
        (pieces, joined) = (pieces + 1, joined + batch.num_rows());
    }
    // Two to a piece.
    assert_eq!(joined, rows);
    assert!(pieces >= joined / 2);
}

#[tokio::test]
async fn unnest_repeats_views() {
    let elements = Int32Array::from_iter_values(0..5000);
    let item = Arc::new(Field::new_list_field(DataType::Int32, true));
    let lengths = OffsetBuffer::from_lengths([4997, 0, 3]);
    let lists = ListArray::new(Arc::clone(&item), lengths, Arc::new(elements), None);
    let cells = [Some(map_of("abc", 1 << 20)), None, Some(map_of("a", 1))];
    let given = Arc::new(Schema::new(vec![
        Field::new("lists", DataType::List(item), true),
        Field::new("maps", DataType::LargeBinary, true),
    ]));
    let columns: Vec<ArrayRef> =
        vec![Arc::new(lists), Arc::new(LargeBinaryArray::from_iter(cells))];
    let batch = RecordBatch::try_new(Arc::clone(&given), columns).unwrap();
    let rows = MemorySourceConfig::try_new_exec(&[vec![batch]], given, None).unwrap();
    let unfolded = Arc::new(Schema::new(vec![
        Field::new("lists", DataType::Int32, true),
        Field::new("maps", DataType::LargeBinary, true),
    ]));
    let lists = vec![ListUnnest { index_in_input_schema: 0, depth: 1 }];
    let unnest = UnnestExec::new(rows, lists, vec![], unfolded, UnnestOptions::default()).unwrap();
    let plan = carrying(&(Arc::new(unnest) as Arc<dyn ExecutionPlan>));
    let task = Arc::new(TaskContext::default());
    let mut stream = plan.execute(0, task).unwrap();
    let mut next = 0;
    // 15 GB together.
    while let Some(piece) = futures::StreamExt::next(&mut stream).await {
        let piece = piece.unwrap();
        assert!(piece.column(1).as_binary::<i64>().value_data().len() <= PIECE_BYTES_MAX);
        for element in
            piece.column(0).as_primitive::<arrow::datatypes::Int32Type>().iter().flatten()
        {
            assert_eq!(element, next);
            next += 1;
        }
    }
    assert_eq!(next, 5000);
}
