//! A top-N reads the wide columns that only its output shows after it has chosen its rows.
//!
//! ```text
//! TopN                          Sort
//! └─ joins, filters …           └─ Join on the row number, which restricts the scan
//!    └─ Scan k, wide      →        ├─ Scan wide, row number
//!                                  └─ TopN
//!                                     └─ joins, filters …
//!                                        └─ Scan k, row number
//! ```
//! The columns of one scan are deferred, those of the widest. What a filter or a join in between reads besides is read there, too: deferring it is harmless.

use std::collections::BTreeMap;

use arrow::datatypes::{DataType, FieldRef, Schema};
use plasmon_core::expression::{Expression, Kind};
use plasmon_core::operators::join::JoinKind;
use plasmon_core::{Config, Result};

use super::column_path::output_column;
use super::statistics::{Estimates, row_words};
use crate::ir::{Join, Node, Plan, Relation, scannable, schema_with};

/// Rows that are decompressed to read one: about those of a page.
const ROWS_PER_ROW: f64 = 20_000.0;
/// Width of what is deferred, in words of 8 bytes of which a text counts four: less is not worth a second scan.
const WORDS_MIN: f64 = 4.0;

pub(super) fn run(plan: Plan, _: &Config) -> Result<Plan> {
    let estimates = Estimates::of(&plan);
    plan.map_trees(&mut |relation| defer_in(relation, &estimates))
}

fn defer_in(relation: Relation, estimates: &Estimates) -> Result<Relation> {
    let relation = relation.map_children(&mut |child| defer_in(child, estimates))?;
    match choose(&relation, estimates) {
        Some(deferred) => Ok(defer(relation, &deferred)),
        None => Ok(relation),
    }
}

/// Which child to go to, from the top-N's input down to a scan.
type Path = Vec<usize>;

/// Columns of one scan that are read late.
struct Deferred {
    path: Path,
    /// Output ordinal of the top-N, and the table's ordinal.
    columns: Vec<(usize, usize)>,
    scan: Relation,
}

fn choose(relation: &Relation, estimates: &Estimates) -> Option<Deferred> {
    let Node::Sort { input, keys, offset, fetch: Some(fetch), .. } = &relation.node else { return None };
    let sorted: Vec<usize> = keys.iter().flat_map(|k| k.expression.referenced_columns()).collect();
    let mut by_scan: BTreeMap<Path, Vec<(usize, usize)>> = BTreeMap::new();
    for column in (0..relation.schema.fields().len()).filter(|c| !sorted.contains(c)) {
        if let Some((path, table_column)) = origin(input, column) {
            by_scan.entry(path).or_default().push((column, table_column));
        }
    }
    let chosen = (fetch + offset) as f64;
    let candidates = by_scan.into_iter().filter_map(|(path, columns)| {
        let scan = path.iter().fold(input.as_ref(), |relation, &child| relation.children()[child]);
        let fields = columns.iter().map(|&(column, _)| relation.schema.fields()[column].clone());
        let words = row_words(&schema_with(&Schema::empty().into(), fields));
        let rows = estimates.profile(scan).rows;
        let pays = words >= WORDS_MIN && chosen * ROWS_PER_ROW <= rows;
        pays.then(|| (words * rows, Deferred { path, columns, scan: scan.clone() }))
    });
    candidates.max_by(|a, b| a.0.total_cmp(&b.0)).map(|(_, deferred)| deferred)
}

/// The scan whose rows an output column shows unchanged, each row of the relation one of them.
fn origin(relation: &Relation, column: usize) -> Option<(Path, usize)> {
    let below = |child: usize, column: usize| {
        let (mut path, table_column) = origin(relation.children()[child], column)?;
        path.insert(0, child);
        Some((path, table_column))
    };
    match &relation.node {
        Node::Scan { table, projection, fetch: None, .. } if table.numbers_rows() => {
            Some((Path::new(), projection[column]))
        }
        Node::Filter { .. } => below(0, column),
        Node::Project { expressions, .. } => match expressions[column].kind {
            Kind::Column(column) => below(0, column),
            _ => None,
        },
        Node::Join { left, right, join } => {
            let widths = (left.schema.fields().len(), right.schema.fields().len());
            let (on_left, column) = output_column(widths, join, column)?;
            // A row of nulls has no number.
            let is_padded = match join.kind {
                JoinKind::Left => !on_left,
                JoinKind::Right => on_left,
                JoinKind::Full => true,
                _ => false,
            };
            if is_padded { None } else { below(usize::from(!on_left), column) }
        }
        _ => None,
    }
}

fn defer(relation: Relation, deferred: &Deferred) -> Relation {
    let Relation { node: Node::Sort { input, keys, offset, fetch, threshold }, schema, estimated_rows, number: given } =
        relation
    else {
        return relation;
    };
    let width = schema.fields().len();
    let narrow = numbered(*input, &deferred.path);
    let narrow_schema = narrow.schema.clone();
    let top = Node::Sort { input: Box::new(narrow), keys: keys.clone(), offset, fetch, threshold };
    let top = Relation::new(top, narrow_schema);
    let wide = second_scan(deferred);
    let number = |ordinal: usize| vec![Expression::column(ordinal, DataType::Int64)];
    let wide_width = wide.schema.fields().len();
    let join = Join {
        kind: JoinKind::Inner,
        left_keys: number(wide_width - 1),
        right_keys: number(width),
        null_equal: vec![false],
        residual: None,
        null_aware: false,
        projection: None,
        runtime_filters: Vec::new(),
        cached_build: None,
    };
    let joined_schema = schema_with(&wide.schema, top.schema.fields().iter().cloned());
    let joined = Relation::new(Node::Join { left: Box::new(wide), right: Box::new(top), join }, joined_schema);
    let place = |column: usize| match deferred.columns.iter().position(|(output, _)| *output == column) {
        Some(late) => late,
        None => wide_width + column,
    };
    let restored = joined.project_columns((0..width).map(place)).with_schema(schema.clone());
    // The second scan gives the rows in its own order.
    let node = Node::Sort { input: Box::new(restored), keys, offset: 0, fetch: None, threshold: None };
    Relation { node, schema, estimated_rows, number: given }
}

/// Of the deferred columns, and the row number last.
fn second_scan(deferred: &Deferred) -> Relation {
    let Node::Scan { name, table, .. } = &deferred.scan.node else { return deferred.scan.clone() };
    let columns = scannable(table.as_ref());
    let mut projection: Vec<usize> = deferred.columns.iter().map(|&(_, column)| column).collect();
    projection.push(columns.fields().len() - 1);
    let fields = projection.iter().map(|&c| columns.fields()[c].clone());
    let schema = schema_with(&Schema::empty().into(), fields);
    let node = Node::Scan {
        name: name.clone(),
        table: table.clone(),
        projection,
        filters: Vec::new(),
        fetch: None,
        runtime_filters: Vec::new(),
        threshold: None,
    };
    Relation::new(node, schema)
}

/// The relation with the row number of the scan at the end of `path` as one more column, the last.
fn numbered(relation: Relation, path: &[usize]) -> Relation {
    let Relation { node, schema, .. } = relation;
    let rest = path.get(1..).unwrap_or_default();
    let (node, number) = match node {
        Node::Scan { name, table, mut projection, filters, fetch, runtime_filters, threshold } => {
            let columns = scannable(table.as_ref());
            let number = columns.fields().len() - 1;
            projection.push(number);
            let field = columns.fields()[number].clone();
            (Node::Scan { name, table, projection, filters, fetch, runtime_filters, threshold }, field)
        }
        Node::Filter { input, predicate } => {
            let input = numbered(*input, rest);
            let number = last_field(&input);
            (Node::Filter { input: Box::new(input), predicate }, number)
        }
        Node::Project { input, mut expressions } => {
            let input = numbered(*input, rest);
            let number = last_field(&input);
            expressions.push(Expression::column(input.schema.fields().len() - 1, DataType::Int64));
            (Node::Project { input: Box::new(input), expressions }, number)
        }
        Node::Join { left, right, join } => {
            let (outputs, widths) = (schema.fields().len(), (left.schema.fields().len(), right.schema.fields().len()));
            let on_left = path.first() == Some(&0);
            let (left, right) = match on_left {
                true => (numbered(*left, rest), *right),
                false => (*left, numbered(*right, rest)),
            };
            let number = last_field(if on_left { &left } else { &right });
            let join = with_number(join, on_left, widths, outputs);
            (Node::Join { left: Box::new(left), right: Box::new(right), join }, number)
        }
        // Paths lead through the nodes above only.
        other => return Relation::new(other, schema),
    };
    Relation::new(node, schema_with(&schema, [number]))
}

fn last_field(relation: &Relation) -> FieldRef {
    relation.schema.fields()[relation.schema.fields().len() - 1].clone()
}

/// The join after one side got one more column, which becomes the last of its `outputs` and one.
fn with_number(join: Join, on_left: bool, (left, right): (usize, usize), outputs: usize) -> Join {
    let right_only = matches!(join.kind, JoinKind::RightSemi | JoinKind::RightAnti | JoinKind::RightMark);
    // Where the new column stands in the full output and, for the residual, in left columns followed by right ones.
    let number = if on_left {
        left
    } else if right_only {
        right
    } else {
        left + right
    };
    let moved = |c: usize| if c >= number { c + 1 } else { c };
    let mut projection: Vec<usize> = join.projection.unwrap_or_else(|| (0..outputs).collect());
    projection.iter_mut().for_each(|c| *c = moved(*c));
    projection.push(number);
    let residual = join.residual.map(|r| if on_left { r.map_columns(&moved) } else { r });
    Join { projection: Some(projection), residual, ..join }
}
