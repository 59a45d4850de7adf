//! Each operator as a graph of its own, over rows of a shape.

use std::sync::Arc;

use arrow::datatypes::DataType;
use plasmon_core::Result;
use plasmon_core::expression::{CompareOp, Expression, Scalar, SortKey};
use plasmon_core::operators::Breaker;
use plasmon_core::operators::aggregate::{
    AggregateExpression, AggregateFunction, AggregatePhase, AggregateSpec, aggregate,
};
use plasmon_core::operators::exchange::{Distribution, Exchange, ExchangeSpec};
use plasmon_core::operators::filter::Filter;
use plasmon_core::operators::join::{Join, JoinKind, JoinSpec};
use plasmon_core::operators::materialize::Materialize;
use plasmon_core::operators::project::Project;
use plasmon_core::operators::sort::{SortSpec, sort};
use plasmon_core::operators::values::Values;
use plasmon_core::operators::window::{
    Frame, FrameBound, FrameUnits, WindowExpression, WindowFunction, WindowSpec, window,
};
use plasmon_core::pipeline::{Graph, Operator, Part, Pipeline, Sink, SinkId, Source, Wait};

use crate::answer::{Answer, Check};
use crate::data::{KEY, RANDOM, SUMMABLE, Shape, Table, TableScan};
use crate::lists::{Lists, list_type};

/// Partitions of the exchange.
const PARTITIONS: usize = 64;
/// Left rows of the nested loop.
const LOOP_ROWS: usize = 8;

/// An operator, ready to run.
pub(crate) struct Case {
    pub(crate) graph: Graph,
    pub(crate) answer: Arc<Answer>,
    /// What it must keep.
    pub(crate) inputs: Vec<Table>,
    check: SinkId,
}

/// What makes a case of rows of a shape, whose larger input is so many bytes.
pub(crate) type Make = fn(Shape, usize) -> Result<Case>;

pub(crate) const OPERATORS: [(&str, Make); 21] = [
    ("sort", |shape, bytes| sorting(shape, bytes, false)),
    ("top-N, half of the rows", |shape, bytes| sorting(shape, bytes, true)),
    ("aggregate", plain_aggregate),
    ("aggregate, DISTINCT", distinct_aggregate),
    ("aggregate, DISTINCT of all rows", global_distinct),
    ("aggregate, lists", list_aggregate),
    ("distinct", distinct),
    ("inner join", |shape, bytes| hash_join(shape, bytes, JoinKind::Inner, false)),
    ("inner join, residual", |shape, bytes| hash_join(shape, bytes, JoinKind::Inner, true)),
    ("left join", |shape, bytes| hash_join(shape, bytes, JoinKind::Left, false)),
    ("full join", |shape, bytes| hash_join(shape, bytes, JoinKind::Full, false)),
    ("semi join", |shape, bytes| hash_join(shape, bytes, JoinKind::LeftSemi, false)),
    ("anti join", |shape, bytes| hash_join(shape, bytes, JoinKind::LeftAnti, false)),
    ("nested loop join", nested_loop),
    ("window, running", |shape, bytes| windowed(shape, bytes, true)),
    ("window, whole partitions", |shape, bytes| windowed(shape, bytes, false)),
    ("UNION", union),
    ("INTERSECT", |shape, bytes| set_operation(shape, bytes, 3)),
    ("EXCEPT", |shape, bytes| set_operation(shape, bytes, 1)),
    ("exchange", exchange),
    ("CTE, read twice", materialized),
];

impl Case {
    fn new(inputs: Vec<Table>, ordered: bool) -> Self {
        let mut graph = Graph::default();
        let (check, answer) = Check::new(ordered);
        let check = graph.add_sink(Arc::new(check), 0);
        Case { graph, answer, inputs, check }
    }

    fn pipeline(
        &mut self,
        source: Arc<dyn Source>,
        operators: Vec<Arc<dyn Operator>>,
        sink: SinkId,
        waits: &[Wait],
    ) -> Wait {
        let operators = operators.into_iter().map(|operator| Part::new(operator, 0)).collect();
        let pipeline = Pipeline { source: Part::new(source, 0), operators, sink, waits: waits.to_vec() };
        Wait::Pipeline(self.graph.add_pipeline(pipeline))
    }

    /// All inputs into a sink.
    fn fill(&mut self, sink: Arc<dyn Sink>) -> Wait {
        let sink = self.graph.add_sink(sink, 0);
        for table in self.inputs.clone() {
            self.pipeline(Arc::new(TableScan::new(&table)), Vec::new(), sink, &[]);
        }
        Wait::Sink(sink)
    }

    /// Inputs → breaker → check.
    fn of_breaker(inputs: Vec<Table>, breaker: Breaker, ordered: bool) -> Self {
        let mut case = Case::new(inputs, ordered);
        let filled = case.fill(breaker.sink);
        case.pipeline(breaker.source, Vec::new(), case.check, &[filled]);
        case
    }

    /// `left`, which waits for `waits`, joined with `right`.
    fn join(&mut self, spec: JoinSpec, left: Arc<dyn Source>, right: &Table, waits: &[Wait]) -> Result<()> {
        let join = Join::new(spec, Vec::new())?;
        let spilled = join.spilled();
        let build = self.graph.add_sink(join.build(), 0);
        self.pipeline(Arc::new(TableScan::new(right)), Vec::new(), build, &[]);
        let mut waits = [waits, &[Wait::Sink(build)]].concat();
        waits.push(self.pipeline(left, vec![join.probe()], self.check, &waits));
        if let Some(unmatched) = join.unmatched() {
            waits.push(self.pipeline(unmatched, Vec::new(), self.check, &waits));
        }
        self.pipeline(spilled, Vec::new(), self.check, &waits);
        Ok(())
    }
}

fn all_columns(shape: Shape) -> Vec<usize> {
    (0..Table::all_types(shape).len()).collect()
}

/// Columns that make rows of the shape what they are: of thin ones the key alone, which repeats.
fn repeating_columns(shape: Shape) -> Vec<usize> {
    match shape {
        Shape::Wide => all_columns(shape),
        Shape::Uniform | Shape::Skewed | Shape::Hot | Shape::Long => vec![KEY],
    }
}

fn column(table: &Table, index: usize) -> Expression {
    Expression::column(index, table.types()[index].clone())
}

fn ascending(expression: Expression) -> SortKey {
    SortKey { expression, descending: false, nulls_first: false }
}

fn sorting(shape: Shape, bytes: usize, is_cut: bool) -> Result<Case> {
    let table = Table::of_bytes(shape, 1, all_columns(shape), bytes);
    // The last rows within a limit must be the same ones, however they are found.
    let keys = if is_cut { vec![KEY, RANDOM] } else { vec![KEY] };
    let keys = keys.into_iter().map(|key| ascending(column(&table, key))).collect();
    let fetch = is_cut.then_some(table.rows() / 2);
    let breaker = sort(SortSpec { keys, fetch, offset: 0, types: table.types(), threshold: None })?;
    Ok(Case::of_breaker(vec![table], breaker, true))
}

fn call(function: AggregateFunction, arguments: Vec<Expression>, data_type: DataType) -> AggregateExpression {
    AggregateExpression { function, arguments, filter: None, distinct: false, order_by: Vec::new(), data_type }
}

fn grouped(inputs: Vec<Table>, group_by: Vec<Expression>, aggregates: Vec<AggregateExpression>) -> Result<Case> {
    let (grouping_sets, phase) = (Vec::new(), AggregatePhase::Single);
    let breaker = aggregate(AggregateSpec { group_by, grouping_sets, grouping_id: None, aggregates, phase })?;
    Ok(Case::of_breaker(inputs, breaker, false))
}

/// A count, a sum, and the least of whatever else there is.
fn plain_aggregate(shape: Shape, bytes: usize) -> Result<Case> {
    let table = Table::of_bytes(shape, 1, all_columns(shape), bytes);
    let mut aggregates = vec![
        call(AggregateFunction::CountAll, Vec::new(), DataType::Int64),
        call(AggregateFunction::Sum, vec![column(&table, SUMMABLE)], DataType::Int64),
    ];
    let others = (0..table.columns.len()).filter(|&index| index != KEY && index != SUMMABLE);
    aggregates.extend(others.map(|index| {
        let argument = column(&table, index);
        call(AggregateFunction::Min, vec![argument.clone()], argument.data_type)
    }));
    let key = vec![column(&table, KEY)];
    grouped(vec![table], key, aggregates)
}

fn count_distinct(argument: Expression) -> AggregateExpression {
    AggregateExpression { distinct: true, ..call(AggregateFunction::Count, vec![argument], DataType::Int64) }
}

fn distinct_aggregate(shape: Shape, bytes: usize) -> Result<Case> {
    let columns = match shape {
        Shape::Wide => all_columns(shape),
        Shape::Long => vec![KEY, 3],
        Shape::Uniform | Shape::Skewed | Shape::Hot => vec![KEY, RANDOM],
    };
    let table = Table::of_bytes(shape, 1, columns, bytes);
    let aggregates = (1..table.columns.len()).map(|index| count_distinct(column(&table, index))).collect();
    let key = vec![column(&table, KEY)];
    grouped(vec![table], key, aggregates)
}

fn global_distinct(shape: Shape, bytes: usize) -> Result<Case> {
    let table = Table::of_bytes(shape, 1, repeating_columns(shape), bytes);
    let aggregates = (0..table.columns.len()).map(|index| count_distinct(column(&table, index))).collect();
    grouped(vec![table], Vec::new(), aggregates)
}

fn list_aggregate(shape: Shape, bytes: usize) -> Result<Case> {
    let table = Table::of_bytes(shape, 1, vec![KEY, RANDOM], bytes);
    let lists = AggregateFunction::Custom(Arc::new(Lists));
    let (key, value) = (column(&table, KEY), column(&table, 1));
    grouped(vec![table], vec![key], vec![call(lists, vec![value], list_type())])
}

fn distinct(shape: Shape, bytes: usize) -> Result<Case> {
    let table = Table::of_bytes(shape, 1, repeating_columns(shape), bytes);
    let keys = (0..table.columns.len()).map(|index| column(&table, index)).collect();
    grouped(vec![table], keys, Vec::new())
}

/// A join of two tables by keys, or by all columns, or by a residual alone.
fn join_spec(kind: JoinKind, left: &Table, right: &Table, keys: &[usize], residual: Option<Expression>) -> JoinSpec {
    let of = |table: &Table| keys.iter().map(|&key| column(table, key)).collect::<Vec<_>>();
    JoinSpec {
        kind,
        left_keys: of(left),
        right_keys: of(right),
        null_equal: vec![keys.len() > 1; keys.len()],
        residual,
        null_aware: false,
        left_types: left.types(),
        right_types: right.types(),
        projection: None,
    }
}

/// Column `index` of both sides, compared.
fn compared(op: CompareOp, left: &Table, right: &Table, index: usize) -> Expression {
    let of_right = Expression::column(left.columns.len() + index, right.types()[index].clone());
    Expression::compare(op, column(left, index), of_right)
}

/// Both sides are as large; where all pairs are in the output, only the right one is skewed: else there were far too many.
fn hash_join(shape: Shape, bytes: usize, kind: JoinKind, has_residual: bool) -> Result<Case> {
    let gives_pairs = !matches!(kind, JoinKind::LeftSemi | JoinKind::LeftAnti);
    let right = Table::of_bytes(shape, 1, all_columns(shape), bytes);
    let left = Table { seed: 2, has_skew: !gives_pairs, ..right.clone() };
    let residual = has_residual.then(|| compared(CompareOp::Less, &left, &right, RANDOM));
    let mut case = Case::new(vec![left.clone(), right.clone()], false);
    let spec = join_spec(kind, &left, &right, &[KEY], residual);
    case.join(spec, Arc::new(TableScan::new(&left)), &right, &[])?;
    Ok(case)
}

/// A few left rows, so that it ends.
fn nested_loop(shape: Shape, bytes: usize) -> Result<Case> {
    let right = Table::of_bytes(shape, 1, all_columns(shape), bytes);
    let left = Table { seed: 2, has_skew: false, batches: 0..1, columns: vec![KEY], ..right.clone() };
    let residual = compared(CompareOp::Equal, &left, &right, KEY);
    let mut case = Case::new(vec![right.clone()], false);
    let spec = join_spec(JoinKind::Left, &left, &right, &[], Some(residual));
    let few = left.batch(0).slice(0, LOOP_ROWS)?;
    case.join(spec, Arc::new(Values::new(vec![few])), &right, &[])?;
    Ok(case)
}

fn frame(end: FrameBound) -> Frame {
    Frame { units: FrameUnits::Rows, start: FrameBound::UnboundedPreceding, end }
}

/// A running sum, or each partition's, beside the number of the row.
fn windowed(shape: Shape, bytes: usize, is_running: bool) -> Result<Case> {
    let table = Table::of_bytes(shape, 1, all_columns(shape), bytes);
    let sum = WindowExpression {
        function: WindowFunction::Aggregate(AggregateFunction::Sum),
        arguments: vec![column(&table, SUMMABLE)],
        frame: frame(if is_running { FrameBound::CurrentRow } else { FrameBound::UnboundedFollowing }),
        filter: None,
        distinct: false,
        ignore_nulls: false,
        data_type: DataType::Int64,
    };
    let number = WindowExpression {
        function: WindowFunction::RowNumber,
        arguments: Vec::new(),
        frame: frame(FrameBound::CurrentRow),
        data_type: DataType::UInt64,
        ..sum.clone()
    };
    let breaker = window(WindowSpec {
        partition_by: vec![column(&table, KEY)],
        order_by: vec![ascending(column(&table, RANDOM))],
        functions: vec![number, sum],
        types: table.types(),
    })?;
    Ok(Case::of_breaker(vec![table], breaker, false))
}

/// Two tables that share half of their rows.
fn overlapping(shape: Shape, bytes: usize) -> (Table, Table) {
    let left = Table::of_bytes(shape, 1, repeating_columns(shape), bytes);
    let shift = left.batches.len() / 2;
    let right = Table { batches: shift..left.batches.len() + shift, ..left.clone() };
    (left, right)
}

fn union(shape: Shape, bytes: usize) -> Result<Case> {
    let (left, right) = overlapping(shape, bytes / 2);
    let keys = (0..left.columns.len()).map(|index| column(&left, index)).collect();
    grouped(vec![left, right], keys, Vec::new())
}

/// INTERSECT (rows of both sides) and EXCEPT (rows of the left side alone) as the planner makes them of sides of one size: one aggregation by all columns,
/// which tells from which sides a row came.
fn set_operation(shape: Shape, bytes: usize, wanted: i64) -> Result<Case> {
    let (left, right) = overlapping(shape, bytes);
    let columns: Vec<Expression> = (0..left.columns.len()).map(|index| column(&left, index)).collect();
    let tag = |sides: i64| Expression::literal(Scalar::Int64(sides), DataType::Int8);
    let from = Expression::column(columns.len(), DataType::Int8);
    let aggregates = vec![call(AggregateFunction::BitOr, vec![from.clone()], DataType::Int8)];
    let (grouping_sets, phase, group_by) = (Vec::new(), AggregatePhase::Single, columns.clone());
    let rows = aggregate(AggregateSpec { group_by, grouping_sets, grouping_id: None, aggregates, phase })?;
    let mut case = Case::new(vec![left.clone(), right.clone()], false);
    let sink = case.graph.add_sink(rows.sink, 0);
    for (side, table) in [(1, &left), (2, &right)] {
        let tagged = Project::new(columns.iter().cloned().chain([tag(side)]).collect());
        case.pipeline(Arc::new(TableScan::new(table)), vec![Arc::new(tagged)], sink, &[]);
    }
    let filter = Filter::new(Expression::compare(CompareOp::Equal, from, tag(wanted)));
    let operators: Vec<Arc<dyn Operator>> = vec![Arc::new(filter), Arc::new(Project::new(columns))];
    case.pipeline(rows.source, operators, case.check, &[Wait::Sink(sink)]);
    Ok(case)
}

fn exchange(shape: Shape, bytes: usize) -> Result<Case> {
    let table = Table::of_bytes(shape, 1, all_columns(shape), bytes);
    let distribution = Distribution::Keys(vec![column(&table, KEY)]);
    let spec = ExchangeSpec { distribution, partitions: PARTITIONS, types: table.types(), numbered: false };
    Ok(Case::of_breaker(vec![table], Exchange::new(spec)?.breaker(), false))
}

fn materialized(shape: Shape, bytes: usize) -> Result<Case> {
    let table = Table::of_bytes(shape, 1, all_columns(shape), bytes);
    let mut case = Case::new(vec![table], false);
    let rows = Arc::new(Materialize::new());
    let filled = case.fill(rows.clone());
    let first = case.pipeline(rows.reader(), Vec::new(), case.check, &[filled]);
    case.pipeline(rows.reader(), Vec::new(), case.check, &[filled, first]);
    Ok(case)
}
