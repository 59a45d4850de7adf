//! Relations: every node over its inputs, and whether it gives the columns that it declares.

use arrow::datatypes::{DataType, SchemaRef};
use plasmon_core::Result;
use plasmon_core::expression::Expression;
use plasmon_core::operators::exchange::PARTITIONS_MAX;
use plasmon_core::operators::join::JoinKind;
use prost::bytes::Bytes;

use super::expression::Scope;
use super::{Decoder, check, known, ordinal, types};
use crate::ir::{Join, Node, Relation, Unnest, UnnestOutput, join_fields, scannable};
use crate::path::Path;
use crate::wire::fields::message;
use crate::wire::{RELATION_DEPTH_MAX, proto};

/// Column types of a relation.
pub(super) fn columns(relation: &Relation) -> Vec<DataType> {
    crate::ir::types(&relation.schema).cloned().collect()
}

impl Decoder<'_> {
    /// A relation that must be there, `depth` below its tree's top.
    pub(super) fn relation(&mut self, bytes: &Bytes, path: &Path<'_>, depth: usize) -> Result<Relation> {
        if depth >= RELATION_DEPTH_MAX {
            return Err(path.refuse(format!("relations nested more than {RELATION_DEPTH_MAX} deep")));
        }
        if bytes.is_empty() {
            return Err(path.wrong("the relation is missing"));
        }
        let relation: proto::Relation = message(bytes, path)?;
        let schema = types::schema(&relation.fields, path)?;
        let declared: Vec<DataType> = crate::ir::types(&schema).cloned().collect();
        let node = relation.node.ok_or_else(|| path.wrong("the relation says not what it does"))?;
        let (node, given) = self.node(node, &schema, path, depth + 1)?;
        if declared.len() != given.len() {
            return Err(path.wrong(format!("it gives {} columns and declares {}", given.len(), declared.len())));
        }
        for (index, (declared, given)) in declared.iter().zip(&given).enumerate() {
            if !check::agree(declared, given) {
                return Err(path.item("fields", index).wrong(format!("it is of type {given}, not {declared}")));
            }
        }
        Ok(Relation::new(node, schema))
    }

    /// What a relation does, and the types of its columns.
    fn node(
        &mut self,
        node: proto::relation::Node,
        schema: &SchemaRef,
        path: &Path<'_>,
        depth: usize,
    ) -> Result<(Node, Vec<DataType>)> {
        use proto::relation::Node as Given;
        match node {
            Given::Scan(scan) => self.scan(&scan, path),
            Given::Values(values) => self.values(&values, schema, path),
            Given::Empty(empty) => Ok((Node::Empty { one_row: empty.one_row }, Vec::new())),
            Given::Filter(filter) => {
                let input = self.relation(&filter.input, &path.field("input"), depth)?;
                let columns = columns(&input);
                let predicate = self.condition(&filter.predicate, Scope::over(&columns), &path.field("predicate"))?;
                Ok((Node::Filter { input: Box::new(input), predicate }, columns))
            }
            Given::Project(project) => {
                let input = self.relation(&project.input, &path.field("input"), depth)?;
                let columns = columns(&input);
                let expressions = self.expressions(&project.expressions, Scope::over(&columns), path, "expressions")?;
                let given = expressions.iter().map(|e| e.data_type.clone()).collect();
                Ok((Node::Project { input: Box::new(input), expressions }, given))
            }
            Given::Expand(expand) => self.expand(&expand, path, depth),
            Given::Join(join) => self.join(&join, path, depth),
            Given::Aggregate(aggregate) => {
                let input = self.relation(&aggregate.input, &path.field("input"), depth)?;
                let declared: Vec<DataType> = crate::ir::types(schema).cloned().collect();
                self.aggregate(&aggregate, input, &declared, path)
            }
            Given::Sort(sort) => self.sort(&sort, path, depth),
            Given::Limit(limit) => {
                let input = self.relation(&limit.input, &path.field("input"), depth)?;
                let columns = columns(&input);
                let (offset, fetch) = rows(limit.offset, limit.fetch, path)?;
                Ok((Node::Limit { input: Box::new(input), offset, fetch }, columns))
            }
            Given::Union(union) => self.union(&union, path, depth),
            Given::Window(window) => {
                let input = self.relation(&window.input, &path.field("input"), depth)?;
                self.window(&window, input, path)
            }
            Given::Exchange(exchange) => self.exchange(&exchange, path, depth),
            Given::ShuffleWrite(write) => self.shuffle_write(&write, path, depth),
            Given::Unnest(unnest) => self.unnest(&unnest, path, depth),
            Given::Recursive(recursive) => self.recursive(&recursive, schema, path, depth),
            Given::WorkTable(table) => {
                let found = self.work_tables.iter().rev().find(|(name, _)| *name == table.name);
                let Some((_, columns)) = found else {
                    return Err(path.wrong(format!("no recursive relation {} is around it", table.name)));
                };
                Ok((Node::WorkTable { name: table.name }, crate::ir::types(columns).cloned().collect()))
            }
            Given::SharedScan(scan) => {
                let index = ordinal(scan.index, self.shared.len(), "shared sub-plan", path)?;
                self.reads[self.tree].insert(index);
                Ok((Node::SharedScan { index }, crate::ir::types(&self.shared[index]).cloned().collect()))
            }
        }
    }

    fn expand(&mut self, expand: &proto::Expand, path: &Path<'_>, depth: usize) -> Result<(Node, Vec<DataType>)> {
        let input = self.relation(&expand.input, &path.field("input"), depth)?;
        let columns = columns(&input);
        let mut projections: Vec<Vec<Expression>> = Vec::with_capacity(expand.projections.len());
        for (index, row) in expand.projections.iter().enumerate() {
            let path = path.item("projections", index);
            projections.push(self.expressions(&row.values, Scope::over(&columns), &path, "values")?);
        }
        let types = |p: &Vec<Expression>| p.iter().map(|e| e.data_type.clone()).collect::<Vec<_>>();
        let Some(given) = projections.first().map(types) else {
            return Err(path.wrong("an expansion without projections"));
        };
        for (index, projection) in projections.iter().enumerate() {
            if types(projection) != given {
                let path = path.item("projections", index);
                return Err(path.wrong("its columns are of other types than those of the first projection"));
            }
        }
        Ok((Node::Expand { input: Box::new(input), projections }, given))
    }

    fn scan(&mut self, scan: &proto::Scan, path: &Path<'_>) -> Result<(Node, Vec<DataType>)> {
        let table = ordinal(scan.table, self.tables.len(), "table", path)?;
        let (name, table) = self.tables[table].clone();
        let columns: Vec<DataType> = crate::ir::types(&scannable(table.as_ref())).cloned().collect();
        let projection = ordinals(&scan.projection, columns.len(), path)?;
        let mut filters = Vec::with_capacity(scan.filters.len());
        for (index, filter) in scan.filters.iter().enumerate() {
            filters.push(self.condition(filter, Scope::over(&columns), &path.item("filters", index))?);
        }
        let (_, fetch) = rows(0, scan.fetch, path)?;
        let given = projection.iter().map(|&c| columns[c].clone()).collect();
        let node = Node::Scan { name, table, projection, filters, fetch, runtime_filters: Vec::new(), threshold: None };
        Ok((node, given))
    }

    fn values(&mut self, values: &proto::Values, schema: &SchemaRef, path: &Path<'_>) -> Result<(Node, Vec<DataType>)> {
        let types: Vec<DataType> = crate::ir::types(schema).cloned().collect();
        let mut decoded = Vec::with_capacity(values.rows.len());
        for (index, row) in values.rows.iter().enumerate() {
            let path = path.item("rows", index);
            let row = self.expressions(&row.values, Scope::over(&[]), &path, "values")?;
            if row.len() != types.len() {
                return Err(path.wrong(format!("{} values for {} fields", row.len(), types.len())));
            }
            for (column, (value, wanted)) in row.iter().zip(&types).enumerate() {
                check::of_type(value, wanted, &path.item("values", column))?;
            }
            decoded.push(row);
        }
        Ok((Node::Values { rows: decoded }, types))
    }

    fn join(&mut self, given: &proto::Join, path: &Path<'_>, depth: usize) -> Result<(Node, Vec<DataType>)> {
        let left = self.relation(&given.left, &path.field("left"), depth)?;
        let right = self.relation(&given.right, &path.field("right"), depth)?;
        let kind = join_kind(given.kind, path)?;
        let (left_columns, right_columns) = (columns(&left), columns(&right));
        let both = [&left_columns[..], &right_columns[..]].concat();
        let mut join = Join {
            kind,
            left_keys: Vec::with_capacity(given.keys.len()),
            right_keys: Vec::with_capacity(given.keys.len()),
            null_equal: given.keys.iter().map(|k| k.null_equal).collect(),
            residual: self.filter(&given.residual, Scope::over(&both), &path.field("residual"))?,
            null_aware: given.null_aware,
            projection: None,
            runtime_filters: Vec::new(),
            cached_build: (!given.cached_build.is_empty()).then(|| given.cached_build.clone()),
        };
        for (index, key) in given.keys.iter().enumerate() {
            let path = path.item("keys", index);
            let left = self.expression(&key.left, Scope::over(&left_columns), &path.field("left"))?;
            let right = self.expression(&key.right, Scope::over(&right_columns), &path.field("right"))?;
            check::of_type(&right, &left.data_type, &path.field("right"))?;
            check::key(&left, &path)?;
            join.left_keys.push(left);
            join.right_keys.push(right);
        }
        if given.null_aware && !matches!(kind, JoinKind::LeftAnti | JoinKind::LeftMark) {
            return Err(path.refuse(format!("a null-aware join of kind {kind:?}")));
        }
        if join.cached_build.is_some() && kind.marks_right() {
            return Err(path.refuse(format!("a cached build of a {kind:?} join, which marks build rows")));
        }
        let fields = join_fields(kind, &left.schema, &right.schema);
        let mut full: Vec<DataType> = fields.iter().map(|f| f.data_type().clone()).collect();
        if let Some(projection) = &given.projection {
            let projection = ordinals(&projection.ordinals, full.len(), path)?;
            full = projection.iter().map(|&c| full[c].clone()).collect();
            join.projection = Some(projection);
        }
        Ok((Node::Join { left: Box::new(left), right: Box::new(right), join }, full))
    }

    fn sort(&mut self, sort: &proto::Sort, path: &Path<'_>, depth: usize) -> Result<(Node, Vec<DataType>)> {
        let input = self.relation(&sort.input, &path.field("input"), depth)?;
        let columns = columns(&input);
        let keys = self.sort_keys(&sort.keys, Scope::over(&columns), path, "keys")?;
        if keys.is_empty() {
            return Err(path.wrong("a sort without keys"));
        }
        let (offset, fetch) = rows(sort.offset, sort.fetch, path)?;
        Ok((Node::Sort { input: Box::new(input), keys, offset, fetch, threshold: None }, columns))
    }

    fn union(&mut self, union: &proto::Union, path: &Path<'_>, depth: usize) -> Result<(Node, Vec<DataType>)> {
        let mut inputs: Vec<Relation> = Vec::with_capacity(union.inputs.len());
        for (index, input) in union.inputs.iter().enumerate() {
            let path = path.item("inputs", index);
            let input = self.relation(input, &path, depth)?;
            if let Some(first) = inputs.first() {
                let fits = first.schema.fields().len() == input.schema.fields().len()
                    && columns(first).iter().zip(&columns(&input)).all(|(a, b)| check::agree(a, b));
                if !fits {
                    return Err(path.wrong("its columns are not of the first input's types"));
                }
            }
            inputs.push(input);
        }
        let given = inputs.first().map(columns).ok_or_else(|| path.wrong("a union without inputs"))?;
        Ok((Node::Union { inputs }, given))
    }

    fn exchange(&mut self, exchange: &proto::Exchange, path: &Path<'_>, depth: usize) -> Result<(Node, Vec<DataType>)> {
        let input = self.relation(&exchange.input, &path.field("input"), depth)?;
        let columns = columns(&input);
        let keys = self.expressions(&exchange.keys, Scope::over(&columns), path, "keys")?;
        for (index, key) in keys.iter().enumerate() {
            check::key(key, &path.item("keys", index))?;
        }
        let partitions = match exchange.partitions {
            Some(n) if n == 0 || n as usize > PARTITIONS_MAX => {
                return Err(path.refuse(format!("{n} partitions; 1 to {PARTITIONS_MAX} are")));
            }
            partitions => partitions.map(|n| n as usize),
        };
        let mut given = columns;
        if exchange.numbered {
            if partitions.is_none() {
                return Err(path.wrong("numbers of partitions, but not how many there are"));
            }
            given.push(DataType::Int32);
        }
        Ok((Node::Exchange { input: Box::new(input), keys, partitions, numbered: exchange.numbered }, given))
    }

    fn unnest(&mut self, unnest: &proto::Unnest, path: &Path<'_>, depth: usize) -> Result<(Node, Vec<DataType>)> {
        let input = self.relation(&unnest.input, &path.field("input"), depth)?;
        let columns = columns(&input);
        let mut outputs = Vec::with_capacity(unnest.outputs.len());
        let mut given = Vec::with_capacity(unnest.outputs.len());
        for (index, output) in unnest.outputs.iter().enumerate() {
            let (output, data_type) = unnest_output(output, &columns, &path.item("outputs", index))?;
            outputs.push(output);
            given.push(data_type);
        }
        let unnest = Unnest { outputs, preserve_nulls: unnest.preserve_nulls };
        Ok((Node::Unnest { input: Box::new(input), unnest }, given))
    }

    fn recursive(
        &mut self,
        recursive: &proto::Recursive,
        schema: &SchemaRef,
        path: &Path<'_>,
        depth: usize,
    ) -> Result<(Node, Vec<DataType>)> {
        let initial = self.relation(&recursive.initial, &path.field("initial"), depth)?;
        self.work_tables.push((recursive.name.clone(), schema.clone()));
        let step = self.relation(&recursive.step, &path.field("step"), depth);
        self.work_tables.pop();
        let step = step?;
        let wanted: Vec<DataType> = crate::ir::types(schema).cloned().collect();
        if step.schema.fields().len() != wanted.len()
            || !columns(&step).iter().zip(&wanted).all(|(a, b)| check::agree(a, b))
        {
            return Err(path.field("step").wrong("its columns are not of the recursive relation's types"));
        }
        if recursive.distinct {
            for (index, data_type) in wanted.iter().enumerate() {
                check::key(&Expression::column(index, data_type.clone()), &path.item("fields", index))?;
            }
        }
        let given = columns(&initial);
        let node = Node::Recursive {
            initial: Box::new(initial),
            step: Box::new(step),
            name: recursive.name.clone(),
            distinct: recursive.distinct,
        };
        Ok((node, given))
    }
}

fn join_kind(kind: i32, path: &Path<'_>) -> Result<JoinKind> {
    use proto::JoinKind as Given;
    Ok(match known::<Given>(kind, "JoinKind", path)? {
        Given::Unspecified => return Err(path.wrong("the kind of the join is missing")),
        Given::Inner => JoinKind::Inner,
        Given::Left => JoinKind::Left,
        Given::Right => JoinKind::Right,
        Given::Full => JoinKind::Full,
        Given::LeftSemi => JoinKind::LeftSemi,
        Given::LeftAnti => JoinKind::LeftAnti,
        Given::LeftMark => JoinKind::LeftMark,
        Given::RightSemi => JoinKind::RightSemi,
        Given::RightAnti => JoinKind::RightAnti,
        Given::RightMark => JoinKind::RightMark,
    })
}

/// Ordinals of a projection.
fn ordinals(given: &[u32], count: usize, path: &Path<'_>) -> Result<Vec<usize>> {
    let decoded = given.iter().enumerate().map(|(i, &o)| ordinal(o, count, "column", &path.item("projection", i)));
    decoded.collect()
}

/// Offset and fetch, which may be added.
fn rows(offset: u64, fetch: Option<u64>, path: &Path<'_>) -> Result<(usize, Option<usize>)> {
    let count = |n: u64| match i64::try_from(n).ok().and_then(|n| usize::try_from(n).ok()) {
        Some(count) => Ok(count),
        None => Err(path.wrong(format!("{n} rows"))),
    };
    Ok((count(offset)?, fetch.map(count).transpose()?))
}

fn unnest_output(
    output: &proto::UnnestOutput,
    columns: &[DataType],
    path: &Path<'_>,
) -> Result<(UnnestOutput, DataType)> {
    use proto::unnest_output::What;
    let column = ordinal(output.column, columns.len(), "column", path)?;
    let data_type = &columns[column];
    match &output.what {
        None => Err(path.wrong("what becomes of the column is missing")),
        Some(What::Keep(_)) => Ok((UnnestOutput::Keep(column), data_type.clone())),
        Some(What::ListDepth(depth)) => {
            let mut element = data_type;
            for _ in 0..*depth {
                element = match element {
                    DataType::List(e) | DataType::LargeList(e) | DataType::FixedSizeList(e, _) => e.data_type(),
                    other => return Err(path.wrong(format!("{data_type} has no {depth} levels of lists: {other}"))),
                };
            }
            match *depth as usize {
                0 => Err(path.wrong("a list is opened one level or more")),
                depth => Ok((UnnestOutput::List { column, depth }, element.clone())),
            }
        }
        Some(What::Position(_)) => match data_type {
            DataType::List(_) | DataType::LargeList(_) | DataType::FixedSizeList(..) => {
                Ok((UnnestOutput::Position { column }, DataType::Int32))
            }
            other => Err(path.wrong(format!("column {column} is no list: {other}"))),
        },
        Some(What::StructField(field)) => match data_type {
            DataType::Struct(fields) => {
                let field = ordinal(*field, fields.len(), "field", path)?;
                Ok((UnnestOutput::StructField { column, field }, fields[field].data_type().clone()))
            }
            other => Err(path.wrong(format!("column {column} is no struct: {other}"))),
        },
    }
}
