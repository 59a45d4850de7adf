//! Every refusal, with the node that is to blame. Most plans here are wrong as an IR, which the encoder writes as it is.

use plasmon_core::expression::{ArithmeticOp, CastMode, CompareOp, Kind, Overflow, ScalarSlot, SortKey};
use plasmon_core::operators::aggregate::{AggregateExpression, AggregateFunction, AggregatePhase};
use plasmon_core::operators::join::JoinKind;
use plasmon_core::operators::window::{Frame, FrameBound, FrameUnits, WindowExpression, WindowFunction};
use prost::Message;

use super::*;
use crate::ir::{Join, Partitioning, ShuffleWrite, Unnest, UnnestOutput};
use crate::wire::proto;

/// The refusal of bytes: path and reason.
fn refusal(bytes: &[u8]) -> (String, String) {
    match decode(bytes, &One::new()) {
        Err(Error::At { path, error }) => (path, error.to_string()),
        Err(other) => panic!("no path: {other}"),
        Ok(plan) => panic!("not refused: {plan:?}"),
    }
}

/// Refused at `path`, for a reason that has `what` in it.
fn refused(plan: Plan, path: &str, what: &str) {
    let (at, reason) = refusal(&encode(&plan).unwrap());
    assert!(at == path && reason.contains(what), "refused at {at}: {reason}\nwanted at {path}: … {what} …");
}

fn refused_root(node: Node, types: &[DataType], path: &str, what: &str) {
    refused(plan_of(Relation::new(node, schema_of(types))), path, what);
}

fn scan() -> Box<Relation> {
    Box::new(One::new().scan())
}

/// Refused as the one expression of a projection.
fn refused_value(expression: Expression, path: &str, what: &str) {
    let types = [expression.data_type.clone()];
    let path = format!("root.expressions[0]{path}");
    refused_root(Node::Project { input: scan(), expressions: vec![expression] }, &types, &path, what);
}

fn of(data_type: DataType, kind: Kind) -> Expression {
    Expression { kind, data_type }
}

#[test]
fn expansions() {
    let expand = |projections: Vec<Vec<Expression>>| Node::Expand { input: scan(), projections };
    refused_root(expand(vec![]), &[], "root", "without projections");
    let text = literal(Scalar::Null, DataType::Utf8);
    refused_root(
        expand(vec![vec![number(1)], vec![text]]),
        &[DataType::Int64],
        "root.projections[1]",
        "other types than those of the first",
    );
    let far = Expression::column(99, DataType::Int64);
    refused_root(expand(vec![vec![far]]), &[DataType::Int64], "root.projections[0].values[0]", "99");
}

fn literal(scalar: Scalar, data_type: DataType) -> Expression {
    Expression::literal(scalar, data_type)
}

fn number(n: i64) -> Expression {
    literal(Scalar::Int64(n), DataType::Int64)
}

/// The message of a plan, changed and encoded again.
fn edited(edit: impl FnOnce(&mut proto::Plan)) -> Vec<u8> {
    let bytes = encode(&plan_of(One::new().scan().filter(column(2)))).unwrap();
    let mut plan = proto::Plan::decode(&bytes[..]).unwrap();
    edit(&mut plan);
    plan.encode_to_vec()
}

/// The root's message, changed and encoded again.
fn edited_root(edit: impl FnOnce(&mut proto::Relation)) -> Vec<u8> {
    edited(|plan| {
        let mut root = proto::Relation::decode(plan.root.clone()).unwrap();
        edit(&mut root);
        plan.root = root.encode_to_vec().into();
    })
}

fn refused_bytes(bytes: &[u8], path: &str, what: &str) {
    let (at, reason) = refusal(bytes);
    assert!(at == path && reason.contains(what), "refused at {at}: {reason}\nwanted at {path}: … {what} …");
}

#[test]
fn versions_and_what_a_version_does_not_know() {
    refused_bytes(&edited(|p| p.version = 0), "plan", "version 0");
    refused_bytes(&edited(|p| p.version = 3), "plan", "version 3");
    refused_bytes(&[], "plan", "version 0");
    let whole = edited(|_| {});
    refused_bytes(&whole[..whole.len() - 1], "plan", "");
    // A field 99, in the plan and in a node.
    let unknown = [0x98, 0x06, 0x01];
    refused_bytes(&[&whole[..], &unknown].concat(), "plan", "field 99");
    let with = |more: &[u8]| {
        let more = more.to_vec();
        edited(move |p| p.root = [&p.root[..], &more].concat().into())
    };
    refused_bytes(&with(&unknown), "root", "Relation has a field 99");
    // A second filter; a number where a message is wanted.
    let mut root = proto::Relation::default();
    edited(|p| root = proto::Relation::decode(p.root.clone()).unwrap());
    let node = proto::Relation { fields: Vec::new(), ..root }.encode_to_vec();
    refused_bytes(&with(&node), "root", "filter is given twice");
    refused_bytes(&with(&[0x28, 0x01]), "root", "");
    refused_bytes(&edited(|p| p.root = Default::default()), "root", "missing");
    refused_bytes(&edited_root(|r| r.node = None), "root", "says not what it does");
}

#[test]
fn tables() {
    use proto::table::Origin;
    let named = |name: &str| Some(Origin::Named(proto::NamedTable { parts: vec![name.to_string()] }));
    refused_bytes(&edited(|p| p.tables[0].origin = named("u")), "tables[0]", "there is no table u");
    refused_bytes(&edited(|p| p.tables[0].origin = named("v")), "tables[0]", "v is a view");
    refused_bytes(&edited(|p| p.tables[0].origin = None), "tables[0]", "missing");
    let files = proto::FileTable { path: "x.parquet".to_string(), ..Default::default() };
    refused_bytes(&edited(|p| p.tables[0].origin = Some(Origin::Files(files))), "tables[0]", "no file x.parquet");
    let function = proto::TableFunction { name: "f".to_string(), arguments: Vec::new() };
    let function = Some(Origin::Function(function));
    refused_bytes(&edited(|p| p.tables[0].origin = function), "tables[0]", "no table function f");
    let splits = |partition_columns: u32, values: usize| {
        let value = proto::Value { kind: Some(proto::value::Kind::Int64(7)) }.encode_to_vec().into();
        let split =
            proto::FileSplit { path: "x".to_string(), partition_values: vec![value; values], ..Default::default() };
        Some(Origin::Splits(proto::FileSplits { splits: vec![split], partition_columns, ..Default::default() }))
    };
    refused_bytes(&edited(|p| p.tables[0].origin = splits(5, 0)), "tables[0]", "5 partition columns of 4");
    refused_bytes(&edited(|p| p.tables[0].origin = splits(1, 2)), "tables[0].splits[0]", "2 values for 1 partition");
    let path = "tables[0].splits[0].partition_values[0]";
    refused_bytes(&edited(|p| p.tables[0].origin = splits(1, 1)), path, "none of Float64");
    refused_bytes(&edited(|p| p.tables[0].origin = splits(0, 0)), "tables[0]", "where tables have no files");
    refused_bytes(&edited(|p| drop(p.tables[0].fields.pop())), "tables[0]", "3 columns, the table has 4");
    refused_bytes(&edited(|p| p.tables[0].fields.swap(0, 1)), "tables[0].fields[0]", "column b of type");
    refused_bytes(&edited(|p| p.tables.clear()), "root.input", "table 0 of 0");
}

#[test]
fn scans_filters_and_projections() {
    let scan_of = |projection: Vec<usize>, filters: Vec<Expression>, fetch: Option<usize>| {
        let mut relation = *scan();
        if let Node::Scan { projection: p, filters: f, fetch: n, .. } = &mut relation.node {
            (*p, *f, *n) = (projection, filters, fetch);
        }
        plan_of(relation)
    };
    refused(scan_of(vec![0, 1, 2, 4], vec![], None), "root.projection[3]", "column 4 of 4");
    refused(scan_of(vec![0, 1, 2], vec![], None), "root", "gives 3 columns and declares 4");
    refused(scan_of(vec![0, 1, 3, 2], vec![], None), "root.fields[2]", "of type Float64, not Boolean");
    refused(scan_of(vec![0, 1, 2, 3], vec![column(0)], None), "root.filters[0]", "Boolean is wanted");
    refused(scan_of(vec![0, 1, 2, 3], vec![], Some(usize::MAX)), "root", "rows");
    refused(plan_of(One::new().scan().filter(column(1))), "root.predicate", "Boolean is wanted");
    refused_value(Expression::column(9, DataType::Int64), "", "column 9 of 4");
    refused_value(Expression::column(0, DataType::Int32), "", "column 0 is of type Int64, not Int32");
    let rows = vec![vec![number(1)], vec![number(1), number(2)]];
    refused_root(Node::Values { rows }, &[DataType::Int64], "root.rows[1]", "2 values for 1 fields");
    let rows = vec![vec![column(0)]];
    refused_root(Node::Values { rows }, &[DataType::Int64], "root.rows[0].values[0]", "column 0 of 0");
    refused_root(Node::Empty { one_row: true }, &[DataType::Int64], "root", "gives 0 columns and declares 1");
}

#[test]
fn operations() {
    let bool = |kind| of(DataType::Boolean, kind);
    let compare = |l, r| Expression::compare(CompareOp::Less, l, r);
    refused_value(compare(column(0), column(1)), ".right", "of type Utf8View, Int64 is wanted");
    refused_value(of(DataType::Int8, compare(column(0), column(0)).kind), "", "boolean, not Int8");
    refused_value(bool(Kind::And(vec![column(2)])), "", "1 operands");
    refused_value(bool(Kind::Or(vec![column(2), column(0)])), ".operands[1]", "Boolean is wanted");
    refused_value(bool(Kind::Not(Box::new(column(0)))), ".not", "Boolean is wanted");
    let is = Kind::IsBoolean { operand: Box::new(column(0)), value: true, negated: false };
    refused_value(bool(is), ".operand", "Boolean is wanted");
    let add = |l, r| Kind::Arithmetic {
        op: ArithmeticOp::Add,
        overflow: Overflow::Fail,
        left: Box::new(l),
        right: Box::new(r),
    };
    refused_value(of(DataType::Int64, add(column(0), column(1))), "", "");
    refused_value(of(DataType::Int32, add(column(0), column(0))), "", "does not give Int32");
    let nested =
        bool(Kind::IsNull(Box::new(of(DataType::Int64, add(column(0), Expression::column(7, DataType::Int64))))));
    refused_value(nested, ".is_null.right", "column 7 of 4");
    let negate = Kind::Negate { operand: Box::new(column(0)), overflow: Overflow::Fail };
    refused_value(of(DataType::Float64, negate), "", "Float64 is wanted");
    let cast = Kind::Cast { operand: Box::new(column(2)), mode: CastMode::Fail };
    refused_value(of(DataType::Date32, cast), "", "");
    let case = |branches, otherwise| of(DataType::Int64, Kind::Case { branches, otherwise });
    refused_value(case(vec![], None), "", "without branches");
    refused_value(case(vec![(column(0), column(0))], None), ".branches[0].when", "Boolean is wanted");
    refused_value(case(vec![(column(2), column(1))], None), ".branches[0].then", "Int64 is wanted");
    let otherwise = Some(Box::new(column(3)));
    refused_value(case(vec![(column(2), column(0))], otherwise), ".otherwise", "Int64 is wanted");
    let list = Kind::InList { operand: Box::new(column(0)), list: vec![number(1), column(1)], negated: false };
    refused_value(bool(list), ".list[1]", "Int64 is wanted");
    let like = |operand, pattern| Kind::Like {
        operand: Box::new(operand),
        pattern: Box::new(pattern),
        escape: None,
        case_insensitive: false,
        negated: false,
    };
    refused_value(bool(like(column(0), column(1))), ".operand", "Utf8View is wanted");
    refused_value(bool(like(column(1), column(0))), ".pattern", "Utf8View is wanted");
}

#[test]
fn constants_that_their_types_do_not_have() {
    for (scalar, data_type, what) in [
        (Scalar::Int64(128), DataType::Int8, "none of Int8"),
        (Scalar::UInt64(1), DataType::Int64, "none of Int64"),
        (Scalar::UInt64(1 << 32), DataType::UInt32, "none of UInt32"),
        (Scalar::Boolean(true), DataType::Int64, "none of Int64"),
        (Scalar::Bytes(Arc::from(&[0xff][..])), DataType::Utf8, "no UTF-8"),
        (Scalar::Int64(100), DataType::Decimal128(2, 0), "none of Decimal128(2, 0)"),
        (Scalar::Int128(10i128.pow(38)), DataType::Decimal128(38, 0), "none of"),
        (Scalar::Int256(i256::from_i128(1)), DataType::Decimal128(38, 0), "none of"),
        (Scalar::Float64(1.0), DataType::Null, "none of Null"),
    ] {
        refused_value(literal(scalar, data_type), ".literal", what);
    }
    let array: ArrayRef = Arc::new(ListArray::from_iter_primitive::<Int32Type, _, _>([Some(vec![Some(1), Some(2)])]));
    let narrow = DataType::List(Arc::new(Field::new("item", DataType::Int8, true)));
    refused_value(literal(Scalar::Nested(array.clone()), DataType::Int32), ".literal", "none of Int32");
    let texts = DataType::List(Arc::new(Field::new("item", DataType::Utf8, true)));
    refused_value(literal(Scalar::Nested(array.clone()), texts), ".literal.elements[0]", "none of Utf8");
    let three = DataType::FixedSizeList(Arc::new(Field::new("item", DataType::Int32, true)), 3);
    refused_value(literal(Scalar::Nested(array), three), ".literal", "none of FixedSizeList");
    let long: ArrayRef = Arc::new(ListArray::from_iter_primitive::<Int32Type, _, _>([Some(vec![Some(1000)])]));
    refused_value(literal(Scalar::Nested(long), narrow), ".literal.elements[0]", "none of Int8");
}

#[test]
fn types_that_cannot_be() {
    let of_type = |data_type: DataType, path: &str, what: &str| {
        refused_root(Node::Values { rows: Vec::new() }, &[data_type], path, what);
    };
    of_type(DataType::FixedSizeBinary(1 << 20), "root.fields[0].type", "fixed size of 1048576");
    of_type(DataType::FixedSizeBinary(0), "root.fields[0].type", "fixed size of 0");
    // Small each, huge together; and nulls of it inside a constant.
    let row = DataType::FixedSizeList(Arc::new(Field::new("item", DataType::Int64, true)), 1 << 12);
    let matrix = DataType::FixedSizeList(Arc::new(Field::new("item", row.clone(), true)), 1 << 12);
    of_type(matrix, "root.fields[0]", "16777216 elements");
    let list = DataType::List(Arc::new(Field::new("item", row.clone(), true)));
    let null = arrow::array::new_null_array(&row, 3);
    let array = ListArray::new(Arc::new(Field::new("item", row, true)), OffsetBuffer::from_lengths([3]), null, None);
    refused_value(literal(Scalar::Nested(Arc::new(array)), list), ".literal.elements[0]", "inside a constant");
    let mut deep = DataType::Int8;
    for _ in 0..100 {
        deep = DataType::List(Arc::new(Field::new("item", deep, true)));
    }
    let bytes = encode(&plan_of(Relation::new(Node::Values { rows: vec![] }, schema_of(&[deep])))).unwrap();
    let (path, reason) = refusal(&bytes);
    assert!(path.starts_with("root.fields[0].type.list.type.list") && reason.contains("more than 64 deep"), "{reason}");
    refused_bytes(&edited_root(|r| r.fields[0] = Default::default()), "root.fields[0].type", "missing");
}

#[test]
fn depth() {
    // The encoder has the same limit, so nodes are wrapped by hand.
    let mut bytes = proto::Expression::decode(&*encode_value(&column(2))).unwrap().encode_to_vec();
    let boolean = proto::Expression::decode(&bytes[..]).unwrap().r#type;
    for _ in 0..20_000 {
        let kind = Some(proto::expression::Kind::Not(bytes.into()));
        bytes = proto::Expression { r#type: boolean.clone(), kind }.encode_to_vec();
    }
    let deep = edited_root(|r| {
        if let Some(proto::relation::Node::Filter(filter)) = &mut r.node {
            filter.predicate = bytes.into();
        }
    });
    let (path, reason) = refusal(&deep);
    assert!(path.starts_with("root.predicate.not.not") && reason.contains("more than 400 deep"), "{reason}");
    let mut limits = One::new().scan();
    for _ in 0..399 {
        limits = Relation::new(Node::Limit { input: Box::new(limits), offset: 0, fetch: None }, schema_of(&COLUMNS));
    }
    let bytes = encode(&plan_of(limits.clone())).unwrap();
    assert!(decode(&bytes, &One::new()).is_ok());
    let one_more = Relation::new(Node::Limit { input: Box::new(limits), offset: 0, fetch: None }, schema_of(&COLUMNS));
    assert!(encode(&plan_of(one_more)).unwrap_err().to_string().contains("more than 400 deep"));
}

/// The bytes of an expression.
fn encode_value(expression: &Expression) -> Vec<u8> {
    let bytes = encode(&plan_of(One::new().scan().filter(expression.clone()))).unwrap();
    let plan = proto::Plan::decode(&bytes[..]).unwrap();
    match proto::Relation::decode(plan.root).unwrap().node {
        Some(proto::relation::Node::Filter(filter)) => filter.predicate.to_vec(),
        _ => panic!("a filter"),
    }
}

#[test]
fn functions() {
    let call = |name: &str, arguments: &[Expression], result: DataType| {
        let arguments = arguments.iter().map(|a| encode_any(a).into()).collect();
        let mut bytes = proto::Expression::decode(&*encode_any(&literal(Scalar::Null, result))).unwrap();
        bytes.kind = Some(proto::expression::Kind::Call(proto::Call { name: name.to_string(), arguments }));
        edited_root(|r| {
            if let Some(proto::relation::Node::Filter(filter)) = &mut r.node {
                filter.predicate = bytes.encode_to_vec().into();
            }
        })
    };
    let at = "root.predicate";
    refused_bytes(&call("frobnicate", &[], DataType::Boolean), at, "no scalar function frobnicate");
    refused_bytes(&call("starts_with", &[column(1), column(0)], DataType::Boolean), at, "requires String");
    refused_bytes(&call("sqrt", &[column(0)], DataType::Float64), "root.predicate.arguments[0]", "a cast is wanted");
    refused_bytes(&call("starts_with", &[column(1)], DataType::Boolean), at, "");
    refused_bytes(&call("upper", &[column(1)], DataType::Boolean), at, "upper gives");
    refused_bytes(&call("||", &[column(1)], DataType::Utf8View), at, "two arguments");
    refused_bytes(
        &call("~", &[column(1), column(0)], DataType::Boolean),
        "root.predicate.arguments[1]",
        "Utf8View is wanted",
    );
    refused_bytes(&call("upper", &[column(1)], DataType::Utf8View), at, "Boolean is wanted");
    assert!(decode(&call("starts_with", &[column(1), column(1)], DataType::Boolean), &One::new()).is_ok());
    let unread = proto::Expression {
        r#type: proto::Expression::decode(&*encode_any(&column(2))).unwrap().r#type,
        kind: Some(proto::expression::Kind::Unread(true)),
    };
    let bytes = edited_root(|r| {
        if let Some(proto::relation::Node::Filter(filter)) = &mut r.node {
            filter.predicate = unread.encode_to_vec().into();
        }
    });
    refused_bytes(&bytes, at, "cannot be `unread`");
}

/// The bytes of an expression of any type.
fn encode_any(expression: &Expression) -> Vec<u8> {
    let node = Node::Project { input: scan(), expressions: vec![expression.clone()] };
    let bytes = encode(&plan_of(Relation::new(node, schema_of(&[expression.data_type.clone()])))).unwrap();
    match proto::Relation::decode(proto::Plan::decode(&bytes[..]).unwrap().root).unwrap().node {
        Some(proto::relation::Node::Project(project)) => project.expressions[0].to_vec(),
        _ => panic!("a projection"),
    }
}

fn sum(argument: Expression, data_type: DataType) -> AggregateExpression {
    AggregateExpression {
        function: AggregateFunction::Sum,
        arguments: vec![argument],
        filter: None,
        distinct: false,
        order_by: Vec::new(),
        data_type,
    }
}

fn aggregate(call: AggregateExpression, phase: AggregatePhase) -> Node {
    Node::Aggregate {
        input: scan(),
        group_by: vec![column(0)],
        grouping_sets: Vec::new(),
        aggregates: vec![call],
        phase,
    }
}

#[test]
fn aggregations() {
    use AggregatePhase::*;
    let ints = [DataType::Int64, DataType::Int64];
    refused_root(aggregate(sum(column(1), DataType::Int64), Single), &ints, "root.aggregates[0]", "");
    let floats = [DataType::Int64, DataType::Float64];
    refused_root(
        aggregate(sum(column(0), DataType::Float64), Single),
        &floats,
        "root.aggregates[0]",
        "sum gives Int64",
    );
    let none = AggregateExpression { arguments: vec![], ..sum(column(0), DataType::Int64) };
    refused_root(aggregate(none, Single), &ints, "root.aggregates[0]", "one argument, not 0");
    let filtered = AggregateExpression { filter: Some(column(0)), ..sum(column(0), DataType::Int64) };
    refused_root(aggregate(filtered, Single), &ints, "root.aggregates[0].filter", "Boolean is wanted");
    // State columns: what partial gives, and what final takes.
    refused_root(aggregate(sum(column(0), DataType::Int64), Partial), &ints, "root.fields[1]", "Decimal128(38, 0)");
    refused_root(
        aggregate(sum(column(0), DataType::Int64), Final),
        &ints,
        "root.aggregates[0]",
        "states are Decimal128",
    );
    let distinct = AggregateExpression { distinct: true, ..sum(column(0), DataType::Int64) };
    refused_root(aggregate(distinct.clone(), Partial), &ints, "root.aggregates[0]", "DISTINCT in an aggregation");
    refused_root(aggregate(distinct, Repeating), &ints, "root.aggregates[0]", "DISTINCT in an aggregation");
    let sets = |grouping_sets: Vec<Vec<bool>>, phase| Node::Aggregate {
        input: scan(),
        group_by: vec![column(0)],
        grouping_sets,
        aggregates: Vec::new(),
        phase,
    };
    refused_root(
        sets(vec![vec![true]], Repeating),
        &[DataType::Int64, DataType::UInt8],
        "root",
        "plain keys, not of grouping sets",
    );
    refused_root(
        sets(vec![vec![true], vec![]], Single),
        &[DataType::Int64, DataType::UInt8],
        "root.grouping_sets[1]",
        "0 flags",
    );
    refused_root(sets(vec![vec![true]], Single), &ints, "root", "the grouping id, is an unsigned integer");
    let named = |name: &str| {
        let bytes =
            encode(&plan_of(Relation::new(aggregate(sum(column(0), DataType::Int64), Single), schema_of(&ints))));
        let mut plan = proto::Plan::decode(&bytes.unwrap()[..]).unwrap();
        let mut root = proto::Relation::decode(plan.root).unwrap();
        if let Some(proto::relation::Node::Aggregate(aggregate)) = &mut root.node {
            let function = Some(proto::aggregate_function::Function::Named(name.to_string()));
            aggregate.aggregates[0].function = Some(proto::AggregateFunction { function, ignore_nulls: false });
        }
        plan.root = root.encode_to_vec().into();
        plan.encode_to_vec()
    };
    refused_bytes(&named("frobnicate"), "root.aggregates[0]", "no aggregate function frobnicate");
    refused_bytes(&named("sum"), "root.aggregates[0]", "goes by its number");
    refused_bytes(&named("approx_percentile_cont"), "root.aggregates[0]", "");
}

#[test]
fn windows() {
    let window = |function: WindowExpression, order_by: Vec<SortKey>| Node::Window {
        input: scan(),
        partition_by: Vec::new(),
        order_by,
        functions: vec![function],
    };
    let whole = Frame { units: FrameUnits::Rows, start: FrameBound::UnboundedPreceding, end: FrameBound::CurrentRow };
    let call = |function, arguments: Vec<Expression>, data_type: DataType, frame: Frame| WindowExpression {
        function,
        arguments,
        frame,
        filter: None,
        distinct: false,
        ignore_nulls: false,
        data_type,
    };
    let check = |function: WindowExpression, order_by: Vec<SortKey>, path: &str, what: &str| {
        let types = [&COLUMNS[..], &[function.data_type.clone()]].concat();
        refused_root(window(function, order_by), &types, &format!("root.functions[0]{path}"), what);
    };
    use WindowFunction::*;
    let int = DataType::Int64;
    check(call(Rank, vec![], DataType::Float64, whole.clone()), vec![], "", "Rank does not give Float64");
    check(call(Rank, vec![column(0)], int.clone(), whole.clone()), vec![], "", "does not take 1 arguments");
    check(call(Ntile, vec![column(0)], int.clone(), whole.clone()), vec![], ".arguments[0]", "a constant whole number");
    check(call(Lag, vec![column(0)], DataType::Utf8, whole.clone()), vec![], "", "Lag does not give Utf8");
    let list = DataType::List(Arc::new(Field::new("item", DataType::Int8, true)));
    let default = vec![column(0), number(1), literal(Scalar::Null, list)];
    check(call(Lead, default, int.clone(), whole.clone()), vec![], ".arguments[2]", "does not become Int64");
    let distinct = WindowExpression { distinct: true, ..call(Rank, vec![], int.clone(), whole.clone()) };
    check(distinct, vec![], "", "for aggregates");
    let sum = Aggregate(AggregateFunction::Sum);
    check(call(sum.clone(), vec![column(1)], int.clone(), whole.clone()), vec![], "", "");
    let frame = |units, start, end| Frame { units, start, end };
    let key = |column| SortKey { expression: column, descending: false, nulls_first: false };
    let minus = frame(FrameUnits::Rows, FrameBound::Preceding(Scalar::Int64(-1)), FrameBound::CurrentRow);
    check(call(sum.clone(), vec![column(0)], int.clone(), minus), vec![], ".frame.start", "0 or more");
    let range = frame(FrameUnits::Range, FrameBound::CurrentRow, FrameBound::Following(Scalar::Int64(1)));
    check(call(sum.clone(), vec![column(0)], int.clone(), range.clone()), vec![], ".frame.end", "one order key, not 0");
    let by_text = vec![key(column(1))];
    check(call(sum.clone(), vec![column(0)], int.clone(), range), by_text, ".frame.end", "no distance");
    let backwards = frame(FrameUnits::Rows, FrameBound::UnboundedFollowing, FrameBound::CurrentRow);
    check(call(sum, vec![column(0)], int, backwards), vec![], ".frame", "ends before it starts");
}

#[test]
fn joins_sorts_and_sets() {
    let join = |kind, left_key: Expression, right_key: Expression, null_aware, projection| Node::Join {
        left: scan(),
        right: scan(),
        join: Join {
            kind,
            left_keys: vec![left_key],
            right_keys: vec![right_key],
            null_equal: vec![false],
            residual: Some(column(2)),
            null_aware,
            projection,
            runtime_filters: Vec::new(),
            cached_build: None,
        },
    };
    use JoinKind::*;
    let both = [&COLUMNS[..], &COLUMNS[..]].concat();
    refused_root(join(Inner, column(0), column(1), false, None), &both, "root.keys[0].right", "Int64 is wanted");
    let far = Expression::column(5, DataType::Utf8View);
    refused_root(join(Inner, far, column(1), false, None), &both, "root.keys[0].left", "column 5 of 4");
    refused_root(join(Inner, column(0), column(0), true, None), &both, "root", "null-aware join of kind Inner");
    refused_root(
        join(LeftSemi, column(0), column(0), false, Some(vec![4])),
        &COLUMNS[..1],
        "root.projection[0]",
        "column 4 of 4",
    );
    refused_root(join(LeftMark, column(0), column(0), false, None), &COLUMNS, "root", "gives 5 columns and declares 4");
    let sort = Node::Sort { input: scan(), keys: Vec::new(), offset: 0, fetch: None, threshold: None };
    refused_root(sort, &COLUMNS, "root", "without keys");
    let limit = Node::Limit { input: scan(), offset: usize::MAX, fetch: None };
    refused_root(limit, &COLUMNS, "root", "rows");
    refused_root(Node::Union { inputs: vec![] }, &COLUMNS, "root", "without inputs");
    let other = One::new().scan().project_columns([1, 0, 2, 3]);
    let inputs = vec![*scan(), other];
    refused_root(Node::Union { inputs }, &COLUMNS, "root.inputs[1]", "first input's types");
    let exchange = Node::Exchange { input: scan(), keys: vec![column(0)], partitions: Some(5000), numbered: false };
    refused_root(exchange, &COLUMNS, "root", "5000 partitions");
    let unnest =
        |output| Node::Unnest { input: scan(), unnest: Unnest { outputs: vec![output], preserve_nulls: false } };
    let int = [DataType::Int64];
    refused_root(unnest(UnnestOutput::Keep(4)), &int, "root.outputs[0]", "column 4 of 4");
    refused_root(unnest(UnnestOutput::List { column: 0, depth: 1 }), &int, "root.outputs[0]", "no 1 levels of lists");
    refused_root(unnest(UnnestOutput::StructField { column: 0, field: 0 }), &int, "root.outputs[0]", "no struct");
    refused_root(unnest(UnnestOutput::Position { column: 0 }), &int, "root.outputs[0]", "no list");
}

#[test]
fn builds_of_the_process() {
    let join = |kind| Join {
        kind,
        left_keys: vec![column(0)],
        right_keys: vec![column(0)],
        null_equal: vec![false],
        residual: None,
        null_aware: false,
        projection: Some(vec![0]),
        runtime_filters: Vec::new(),
        cached_build: Some("b".to_string()),
    };
    let node = |kind| Node::Join { left: scan(), right: scan(), join: join(kind) };
    for kind in JoinKind::ALL.into_iter().filter(|kind| kind.marks_right()) {
        refused_root(node(kind), &[DataType::Int64], "root", "which marks build rows");
    }
    let plan = plan_of(Relation::new(node(JoinKind::LeftSemi), schema_of(&[DataType::Int64])));
    let back = decode(&encode(&plan).unwrap(), &One::new()).unwrap();
    assert!(matches!(&back.root.node, Node::Join { join, .. } if join.cached_build.as_deref() == Some("b")));
}

#[test]
fn shuffles() {
    let told = plasmon_core::operators::shuffle_write::SHUFFLE_WRITE_TYPES;
    let write = |partitioning, partitions| {
        let write = ShuffleWrite { partitioning, partitions, path: "f".to_string() };
        Node::ShuffleWrite { input: scan(), write }
    };
    let refused_write = |partitioning, path: &str, what: &str| refused_root(write(partitioning, 3), &told, path, what);
    refused_root(write(Partitioning::Single, 0), &told, "root", "0 partitions");
    let below = Relation::new(write(Partitioning::Single, 1), schema_of(&told));
    let limit = Node::Limit { input: Box::new(below.clone()), offset: 0, fetch: None };
    refused_root(limit, &told, "root.input", "below the root");
    let mut shared = plan_of(One::new().scan());
    shared.shared.push(below);
    refused(shared, "shared[0]", "below the root");
    let list = DataType::FixedSizeList(Arc::new(Field::new_list_field(DataType::Int32, true)), 2);
    let key = literal(Scalar::Null, list);
    refused_write(Partitioning::Hash(vec![key]), "root.hash.keys[0]", "Spark's hash of");
    refused_write(Partitioning::Computed(column(0)), "root.partition", "Int32 is wanted");
    let keys = vec![SortKey { expression: column(0), descending: false, nulls_first: true }];
    let range = |bounds| Partitioning::Range { keys: keys.clone(), bounds };
    refused_write(Partitioning::Range { keys: vec![], bounds: vec![] }, "root.range", "without keys");
    refused_write(range(vec![vec![]]), "root.range.bounds[0]", "0 values for 1 keys");
    refused_write(range(vec![vec![Scalar::Int64(1)]; 3]), "root.range", "3 bounds between 3");
    refused_bytes(
        &edited_root(|root| {
            let write = proto::ShuffleWrite { partitions: 1, path: "f".to_string(), ..Default::default() };
            root.node = Some(proto::relation::Node::ShuffleWrite(write));
        }),
        "root.input",
        "missing",
    );
}

#[test]
fn trees_that_read_each_other() {
    let work = || Node::WorkTable { name: "r".to_string() };
    refused_root(work(), &COLUMNS, "root", "no recursive relation r");
    let step = Box::new(Relation::new(work(), schema_of(&COLUMNS)).project_columns([0]));
    let recursive = Node::Recursive { initial: scan(), step, name: "r".to_string(), distinct: false };
    refused_root(recursive, &COLUMNS, "root.step", "recursive relation's types");
    refused_root(Node::SharedScan { index: 0 }, &COLUMNS, "root", "shared sub-plan 0 of 0");

    let shared = |index| Relation::new(Node::SharedScan { index }, schema_of(&COLUMNS));
    let circle = Plan { root: shared(0), subqueries: Vec::new(), shared: vec![shared(1), shared(0)] };
    refused(circle, "shared[0]", "waits for itself");
    // A shared sub-plan that reads a sub-query that reads it.
    let slot = ScalarSlot::new();
    let value = of(DataType::Boolean, Kind::Parameter(slot.clone()));
    let subquery = shared(0).project_columns([2]);
    let plan = Plan {
        root: shared(0),
        subqueries: vec![(slot.clone(), subquery.clone())],
        shared: vec![One::new().scan().filter(value.clone())],
    };
    refused(plan, "shared[0]", "waits for itself");
    let wide = Plan { root: *scan(), subqueries: vec![(slot.clone(), *scan())], shared: Vec::new() };
    refused(wide, "subqueries[0]", "one column, not 4");
    let mistaken = of(DataType::Int64, value.kind);
    let root =
        Relation::new(Node::Project { input: scan(), expressions: vec![mistaken] }, schema_of(&[DataType::Int64]));
    let plan = Plan { root, subqueries: vec![(slot, One::new().scan().project_columns([2]))], shared: Vec::new() };
    refused(plan, "root.expressions[0]", "sub-query 0 gives Boolean, not Int64");
}
