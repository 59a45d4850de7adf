//! Leaves of the plan: scans, constant rows, work tables.

use std::sync::Arc;

use plasmon_core::batch::Batch;
use plasmon_core::expression::{Expression, evaluate};
use plasmon_core::operators::filter::Filter;
use plasmon_core::operators::project::Project;
use plasmon_core::operators::values::Values;
use plasmon_core::table::ScanRequest;
use plasmon_core::{Column, Error, Result};

use super::stream::{Stream, Streams};
use super::{Lowering, types};
use crate::ir::{Node, Relation};

impl Lowering<'_> {
    pub(super) fn leaf(&mut self, relation: &Relation, node: usize) -> Result<Streams> {
        let source = match &relation.node {
            Node::Scan { .. } => return self.scan(relation, node),
            Node::Values { rows } => Values::new(value_batches(relation, rows, self.config.batch_rows)?),
            Node::Empty { one_row } => Values::new(vec![Batch::new(Vec::new(), usize::from(*one_row))]),
            Node::WorkTable { name } => {
                let table =
                    self.work_tables.get(name).ok_or_else(|| Error::internal(format!("no work table {name}")))?;
                return Ok(Streams::one(Stream::new(table.reader(), node, Vec::new())));
            }
            other => return Err(Error::internal(format!("{other:?} is no leaf"))),
        };
        Ok(Streams::one(Stream::new(Arc::new(source), node, Vec::new())))
    }

    fn scan(&mut self, relation: &Relation, node: usize) -> Result<Streams> {
        let Node::Scan { table, projection, filters, fetch, runtime_filters, threshold, .. } = &relation.node else {
            return Err(Error::internal("scan expected"));
        };
        let (applied, remaining): (Vec<_>, Vec<_>) = filters.iter().cloned().partition(|f| table.applies_filter(f));
        // Filters that the table cannot apply may read columns that the plan does not: scan them too, and drop them afterwards.
        let mut scanned = projection.clone();
        for column in remaining.iter().flat_map(Expression::referenced_columns) {
            if !scanned.contains(&column) {
                scanned.push(column);
            }
        }
        let request = ScanRequest {
            projection: scanned.clone(),
            filters: applied,
            runtime_filters: runtime_filters.clone(),
            threshold: threshold.clone(),
            fetch: if remaining.is_empty() { *fetch } else { None },
            batch_rows: self.config.batch_rows,
        };
        let mut streams = Streams::one(Stream::new(table.scan(&request)?, node, Vec::new()));
        if !remaining.is_empty() {
            let position = |column: usize| scanned.iter().position(|&c| c == column).unwrap_or(column);
            let predicate = Expression::and(remaining.iter().map(|f| f.map_columns(&position)).collect());
            streams.operator(Arc::new(Filter::new(predicate)), node);
            if scanned.len() > projection.len() {
                let kept = types(relation).into_iter().enumerate().map(|(i, t)| Expression::column(i, t)).collect();
                streams.operator(Arc::new(Project::new(kept)), node);
            }
        }
        Ok(streams)
    }
}

/// Constant rows as batches of at most `batch_rows` rows.
fn value_batches(relation: &Relation, rows: &[Vec<Expression>], batch_rows: usize) -> Result<Vec<Batch>> {
    let one_row = Batch::new(Vec::new(), 1);
    let types = types(relation);
    rows.chunks(batch_rows)
        .map(|chunk| {
            let columns = (0..types.len())
                .map(|column| {
                    let values =
                        chunk.iter().map(|row| evaluate(&row[column], &one_row)).collect::<Result<Vec<_>>>()?;
                    Column::concat(&values, &types[column])
                })
                .collect::<Result<Vec<_>>>()?;
            Ok(Batch::new(columns, chunk.len()))
        })
        .collect()
}
