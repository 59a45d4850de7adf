//! What each node and expression says of itself, with column names instead of ordinals.

use plasmon_core::expression::{CastMode, Expression, Kind, SortKey};
use plasmon_core::operators::aggregate::{AggregateExpression, AggregateFunction};
use plasmon_core::operators::join::JoinKind;
use plasmon_core::operators::window::{Frame, FrameBound, FrameUnits, WindowExpression, WindowFunction};

use crate::ir::{Join, Node, Partitioning, Plan, Relation, ShuffleWrite, UnnestOutput, scannable};

/// Longer lists and texts are cut, unless all is asked for.
const LIST_MAX: usize = 12;
const TEXT_MAX: usize = 400;

/// A node's name and its details in order.
pub(super) struct Description {
    pub(super) name: String,
    pub(super) details: Vec<(&'static str, String)>,
}

/// Describes one relation, not its inputs.
pub(super) fn describe(relation: &Relation, plan: &Plan, verbose: bool) -> Description {
    let names = input_names(relation);
    let writer = Writer { names: &names, plan, verbose };
    let mut details = Vec::new();
    let name = match &relation.node {
        Node::Scan { .. } => return describe_scan(relation, &writer),
        Node::Values { rows } => format!("Values ({} rows)", rows.len()),
        Node::Empty { one_row } => if *one_row { "OneRow" } else { "NoRows" }.to_string(),
        Node::Filter { predicate, .. } => {
            details.push(("", writer.expression(predicate)));
            "Filter".to_string()
        }
        Node::Project { expressions, .. } => {
            let columns: Vec<String> =
                expressions.iter().zip(relation.schema.fields()).map(|(e, f)| writer.named(e, f.name())).collect();
            details.push(("", writer.cut(&columns)));
            "Project".to_string()
        }
        Node::Expand { projections, .. } => {
            details.extend(projections.iter().map(|p| ("", writer.cut(&writer.list(p)))));
            "Expand".to_string()
        }
        Node::Join { left, join, .. } => return describe_join(join, left.schema.fields().len(), &writer),
        Node::Aggregate { group_by, grouping_sets, aggregates, .. } => {
            push_list(&mut details, "by", writer.list(group_by), ", ");
            if !grouping_sets.is_empty() {
                details.push(("grouping sets", grouping_sets.len().to_string()));
            }
            push_list(&mut details, "", aggregates.iter().map(|a| writer.aggregate(a)).collect(), ", ");
            if aggregates.is_empty() { "Distinct" } else { "Aggregate" }.to_string()
        }
        Node::Sort { keys, offset, fetch, .. } => {
            details.push(("by", writer.sort_keys(keys)));
            push_rows(&mut details, "limit", *offset, *fetch);
            if fetch.is_some() { "TopN" } else { "Sort" }.to_string()
        }
        Node::Limit { offset, fetch, .. } => {
            push_rows(&mut details, "", *offset, *fetch);
            "Limit".to_string()
        }
        Node::Union { inputs } => format!("UnionAll ({} inputs)", inputs.len()),
        Node::Window { partition_by, order_by, functions, .. } => {
            push_list(&mut details, "", functions.iter().map(|f| writer.window(f)).collect(), ", ");
            push_list(&mut details, "partition by", writer.list(partition_by), ", ");
            if !order_by.is_empty() {
                details.push(("order by", writer.sort_keys(order_by)));
            }
            "Window".to_string()
        }
        Node::ShuffleWrite { write, .. } => return describe_shuffle_write(write, &writer),
        Node::Exchange { keys, partitions, .. } => return describe_exchange(keys, *partitions, &writer),
        Node::Unnest { unnest, .. } => {
            let unnested = unnest.outputs.iter().filter_map(|o| match o {
                UnnestOutput::Keep(_) | UnnestOutput::Position { .. } => None,
                UnnestOutput::List { column, .. } | UnnestOutput::StructField { column, .. } => {
                    Some(writer.column(*column))
                }
            });
            push_list(&mut details, "", unnested.collect(), ", ");
            "Unnest".to_string()
        }
        Node::Recursive { name, distinct, .. } => {
            format!("Recursive {name}{}", if *distinct { " (distinct)" } else { "" })
        }
        Node::WorkTable { name } => format!("WorkTable {name}"),
        Node::SharedScan { index } => format!("SharedScan {index}"),
    };
    Description { name, details }
}

/// Which rows are left: so many, under `name`, behind the first ones.
fn push_rows(details: &mut Vec<(&'static str, String)>, name: &'static str, offset: usize, fetch: Option<usize>) {
    details.extend(fetch.iter().map(|f| (name, f.to_string())));
    if offset > 0 {
        details.push(("offset", offset.to_string()));
    }
}

fn describe_scan(relation: &Relation, writer: &Writer<'_>) -> Description {
    let Node::Scan { name, table, projection, filters, fetch, runtime_filters, threshold } = &relation.node else {
        return Description { name: "Scan".to_string(), details: Vec::new() };
    };
    let columns: Vec<String> = projection.iter().map(|&c| writer.column(c)).collect();
    let mut details = vec![("columns", writer.cut(&columns))];
    push_list(&mut details, "filter", writer.list(filters), " AND ");
    let targets: Vec<String> = runtime_filters.iter().map(|t| writer.column(t.column)).collect();
    push_list(&mut details, "runtime filter", targets, ", ");
    details.extend(threshold.iter().map(|(c, _)| ("top-n threshold", writer.column(*c))));
    details.extend(fetch.iter().map(|f| ("limit", f.to_string())));
    if writer.verbose {
        details.push(("source", table.describe()));
    }
    Description { name: format!("Scan {name}"), details }
}

fn describe_shuffle_write(write: &ShuffleWrite, writer: &Writer<'_>) -> Description {
    let by = match &write.partitioning {
        Partitioning::Hash(keys) => format!("hash({})", writer.list(keys).join(", ")),
        Partitioning::Range { keys, .. } => format!("range({})", writer.sort_keys(keys)),
        Partitioning::Single => "one".to_string(),
        Partitioning::RoundRobin(start) => format!("in turn from {start}"),
        Partitioning::Computed(partition) => writer.expression(partition),
    };
    let details = vec![("by", by), ("partitions", write.partitions.to_string()), ("to", write.path.clone())];
    Description { name: "ShuffleWrite".to_string(), details }
}

fn describe_exchange(keys: &[Expression], partitions: Option<usize>, writer: &Writer<'_>) -> Description {
    let mut details = Vec::new();
    push_list(&mut details, "by", writer.list(keys), ", ");
    details.extend(partitions.map(|p| ("partitions", p.to_string())));
    Description { name: "Exchange".to_string(), details }
}

fn describe_join(join: &Join, left_width: usize, writer: &Writer<'_>) -> Description {
    let mut details = Vec::new();
    let pairs = join.left_keys.iter().zip(&join.right_keys).zip(&join.null_equal).map(|((l, r), null_equal)| {
        let right = r.map_columns(&|c| c + left_width);
        format!("{} {} {}", writer.expression(l), if *null_equal { "<=>" } else { "=" }, writer.expression(&right))
    });
    push_list(&mut details, "on", pairs.collect(), " AND ");
    details.extend(join.residual.iter().map(|r| ("residual", writer.expression(r))));
    if !join.runtime_filters.is_empty() {
        let keys: Vec<String> = join
            .runtime_filters
            .iter()
            .map(|(k, _)| writer.expression(&join.right_keys[*k].map_columns(&|c| c + left_width)))
            .collect();
        details.push(("publishes", keys.join(", ")));
    }
    let kind = match join.kind {
        JoinKind::Inner if join.left_keys.is_empty() && join.residual.is_none() => "Cross",
        JoinKind::Inner => "Inner",
        JoinKind::Left => "Left",
        JoinKind::Right => "Right",
        JoinKind::Full => "Full",
        JoinKind::LeftSemi => "LeftSemi",
        JoinKind::LeftAnti => "LeftAnti",
        JoinKind::LeftMark => "LeftMark",
        JoinKind::RightSemi => "RightSemi",
        JoinKind::RightAnti => "RightAnti",
        JoinKind::RightMark => "RightMark",
    };
    let algorithm = if join.left_keys.is_empty() { "NestedLoop" } else { "Hash" };
    let null_aware = if join.null_aware { " (null-aware)" } else { "" };
    Description { name: format!("{algorithm}Join {kind}{null_aware}"), details }
}

fn push_list(details: &mut Vec<(&'static str, String)>, label: &'static str, items: Vec<String>, separator: &str) {
    if !items.is_empty() {
        details.push((label, items.join(separator)));
    }
}

/// Names of the columns that a node's expressions read.
fn input_names(relation: &Relation) -> Vec<String> {
    match &relation.node {
        Node::Scan { table, .. } => scannable(table.as_ref()).fields().iter().map(|f| f.name().clone()).collect(),
        _ => relation.children().iter().flat_map(|c| c.schema.fields().iter().map(|f| f.name().clone())).collect(),
    }
}

/// Writes expressions over named columns.
struct Writer<'a> {
    names: &'a [String],
    plan: &'a Plan,
    verbose: bool,
}

impl Writer<'_> {
    fn column(&self, index: usize) -> String {
        self.names.get(index).cloned().unwrap_or_else(|| format!("#{index}"))
    }

    fn list(&self, expressions: &[Expression]) -> Vec<String> {
        expressions.iter().map(|e| self.expression(e)).collect()
    }

    fn cut(&self, items: &[String]) -> String {
        if self.verbose || items.len() <= LIST_MAX {
            return items.join(", ");
        }
        format!("{}, … {} more", items[..LIST_MAX].join(", "), items.len() - LIST_MAX)
    }

    fn named(&self, expression: &Expression, name: &str) -> String {
        let text = self.expression(expression);
        if text == name || !matches!(expression.kind, Kind::Column(_)) && name.len() > 30 {
            text
        } else {
            format!("{text} AS {name}")
        }
    }

    fn sort_keys(&self, keys: &[SortKey]) -> String {
        let key = |k: &SortKey| {
            let direction = if k.descending { " DESC" } else { "" };
            // Nulls are largest by default.
            let nulls = if k.nulls_first == k.descending {
                ""
            } else if k.nulls_first {
                " NULLS FIRST"
            } else {
                " NULLS LAST"
            };
            format!("{}{direction}{nulls}", self.expression(&k.expression))
        };
        keys.iter().map(key).collect::<Vec<_>>().join(", ")
    }

    fn expression(&self, expression: &Expression) -> String {
        let text = self.full(expression);
        if self.verbose || text.chars().count() <= TEXT_MAX {
            return text;
        }
        text.chars().take(TEXT_MAX).chain("…".chars()).collect()
    }

    fn full(&self, expression: &Expression) -> String {
        let join = |items: &[Expression], separator: &str| {
            items.iter().map(|i| self.full(i)).collect::<Vec<_>>().join(separator)
        };
        let not = |negated: &bool| if *negated { "NOT " } else { "" };
        match &expression.kind {
            Kind::Column(index) => self.column(*index),
            Kind::Literal(value) => value.display(&expression.data_type),
            Kind::Parameter(slot) => {
                match self.plan.subqueries.iter().position(|(s, _)| std::sync::Arc::ptr_eq(s, slot)) {
                    Some(index) => format!("${index}"),
                    None => "$?".to_string(),
                }
            }
            Kind::Compare { op, left, right } => format!("{} {op} {}", self.full(left), self.full(right)),
            Kind::And(operands) => format!("({})", join(operands, " AND ")),
            Kind::Or(operands) => format!("({})", join(operands, " OR ")),
            Kind::Not(operand) => format!("NOT ({})", self.full(operand)),
            Kind::IsNull(operand) => format!("{} IS NULL", self.full(operand)),
            Kind::IsNotNull(operand) => format!("{} IS NOT NULL", self.full(operand)),
            Kind::IsBoolean { operand, value, negated } => {
                format!("{} IS {}{}", self.full(operand), not(negated), if *value { "TRUE" } else { "FALSE" })
            }
            Kind::Arithmetic { op, left, right, .. } => format!("({} {op} {})", self.full(left), self.full(right)),
            Kind::Negate { operand, .. } => format!("-({})", self.full(operand)),
            Kind::Cast { operand, mode } => {
                format!(
                    "{}({} AS {})",
                    if *mode == CastMode::Null { "TRY_CAST" } else { "CAST" },
                    self.full(operand),
                    expression.data_type
                )
            }
            Kind::Case { branches, otherwise } => {
                let branches: String = branches
                    .iter()
                    .map(|(when, then)| format!(" WHEN {} THEN {}", self.full(when), self.full(then)))
                    .collect();
                let otherwise = otherwise.as_ref().map(|e| format!(" ELSE {}", self.full(e))).unwrap_or_default();
                format!("CASE{branches}{otherwise} END")
            }
            Kind::InList { operand, list, negated } => format!(
                "{} {}IN ({})",
                self.full(operand),
                not(negated),
                self.cut(&list.iter().map(|i| self.full(i)).collect::<Vec<_>>())
            ),
            Kind::Like { operand, pattern, case_insensitive, negated, .. } => {
                format!(
                    "{} {}{}LIKE {}",
                    self.full(operand),
                    not(negated),
                    if *case_insensitive { "I" } else { "" },
                    self.full(pattern)
                )
            }
            Kind::Function(call) => format!("{}({})", call.function.name(), join(&call.arguments, ", ")),
        }
    }

    fn aggregate(&self, aggregate: &AggregateExpression) -> String {
        let distinct = if aggregate.distinct { "DISTINCT " } else { "" };
        let arguments =
            if aggregate.arguments.is_empty() { "*".to_string() } else { self.list(&aggregate.arguments).join(", ") };
        let order = if aggregate.order_by.is_empty() {
            String::new()
        } else {
            format!(" ORDER BY {}", self.sort_keys(&aggregate.order_by))
        };
        let filter = aggregate.filter.as_ref().map(|f| format!(" FILTER ({})", self.expression(f))).unwrap_or_default();
        format!("{}({distinct}{arguments}{order}){filter}", aggregate_name(&aggregate.function))
    }

    fn window(&self, call: &WindowExpression) -> String {
        let name = match &call.function {
            WindowFunction::RowNumber => "row_number",
            WindowFunction::Rank => "rank",
            WindowFunction::DenseRank => "dense_rank",
            WindowFunction::PercentRank => "percent_rank",
            WindowFunction::CumulativeDistribution => "cume_dist",
            WindowFunction::Ntile => "ntile",
            WindowFunction::Lag => "lag",
            WindowFunction::Lead => "lead",
            WindowFunction::FirstValue => "first_value",
            WindowFunction::LastValue => "last_value",
            WindowFunction::NthValue => "nth_value",
            WindowFunction::Aggregate(function) => aggregate_name(function),
        };
        let reads_frame = matches!(
            call.function,
            WindowFunction::FirstValue
                | WindowFunction::LastValue
                | WindowFunction::NthValue
                | WindowFunction::Aggregate(_)
        );
        let frame = if reads_frame { format!(" {}", frame_text(&call.frame)) } else { String::new() };
        format!("{name}({}){frame}", self.list(&call.arguments).join(", "))
    }
}

fn aggregate_name(function: &AggregateFunction) -> &str {
    match function {
        AggregateFunction::CountAll | AggregateFunction::Count => "count",
        AggregateFunction::Sum => "sum",
        AggregateFunction::Min => "min",
        AggregateFunction::Max => "max",
        AggregateFunction::Avg => "avg",
        AggregateFunction::VariancePopulation => "var_pop",
        AggregateFunction::VarianceSample => "var_samp",
        AggregateFunction::DeviationPopulation => "stddev_pop",
        AggregateFunction::DeviationSample => "stddev_samp",
        AggregateFunction::First { .. } => "first_value",
        AggregateFunction::Last { .. } => "last_value",
        AggregateFunction::BoolAnd => "bool_and",
        AggregateFunction::BoolOr => "bool_or",
        AggregateFunction::BitAnd => "bit_and",
        AggregateFunction::BitOr => "bit_or",
        AggregateFunction::BitXor => "bit_xor",
        AggregateFunction::Custom(custom) => custom.name(),
    }
}

fn frame_text(frame: &Frame) -> String {
    let units = match frame.units {
        FrameUnits::Rows => "ROWS",
        FrameUnits::Range => "RANGE",
        FrameUnits::Groups => "GROUPS",
    };
    let bound = |bound: &FrameBound| match bound {
        FrameBound::UnboundedPreceding => "UNBOUNDED PRECEDING".to_string(),
        FrameBound::Preceding(n) => format!("{} PRECEDING", distance(n)),
        FrameBound::CurrentRow => "CURRENT ROW".to_string(),
        FrameBound::Following(n) => format!("{} FOLLOWING", distance(n)),
        FrameBound::UnboundedFollowing => "UNBOUNDED FOLLOWING".to_string(),
    };
    format!("{units} {} TO {}", bound(&frame.start), bound(&frame.end))
}

fn distance(value: &plasmon_core::expression::Scalar) -> String {
    value.as_i64().map_or_else(|| format!("{value:?}"), |n| n.to_string())
}
