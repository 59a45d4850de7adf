//! Random plans: what comes out is what went in, to the last flag.

use plasmon_core::expression::{ArithmeticOp, CastMode, CompareOp, Expression, Kind, Overflow, Scalar, SortKey};
use plasmon_core::operators::aggregate::{AggregateExpression, AggregateFunction, AggregatePhase};
use plasmon_core::operators::join::JoinKind;
use plasmon_core::operators::window::{Frame, FrameBound, FrameUnits, WindowExpression, WindowFunction};
use proptest::prelude::*;
use proptest::sample::select;

use super::*;
use crate::ir::Join;

/// Every relation here has the columns of the table `t`.
const INT: usize = 0;
const TEXT: usize = 1;
const BOOL: usize = 2;
const FLOAT: usize = 3;

fn leaf(of: usize) -> BoxedStrategy<Expression> {
    let literal = match of {
        INT => any::<i64>().prop_map(Scalar::Int64).boxed(),
        TEXT => any::<String>().prop_map(|s| Scalar::Bytes(s.into_bytes().into())).boxed(),
        BOOL => any::<bool>().prop_map(Scalar::Boolean).boxed(),
        _ => any::<f64>().prop_map(Scalar::Float64).boxed(),
    };
    let literal = prop_oneof![4 => literal, 1 => Just(Scalar::Null)];
    prop_oneof![Just(column(of)), literal.prop_map(move |s| Expression::literal(s, COLUMNS[of].clone()))].boxed()
}

fn with(of: usize, kind: Kind) -> Expression {
    Expression { kind, data_type: COLUMNS[of].clone() }
}

/// A strategy that is made when it is drawn from: there are too many deep ones to make all of them.
fn later<T: std::fmt::Debug + 'static>(make: impl Fn() -> BoxedStrategy<T> + 'static) -> BoxedStrategy<T> {
    Just(()).prop_flat_map(move |()| make()).boxed()
}

/// Expressions of the type of column `of`, at most `depth - 1` deep.
fn below(of: usize, depth: u32) -> BoxedStrategy<Expression> {
    later(move || value(of, depth - 1))
}

/// Expressions of the type of column `of`, at most `depth` deep.
fn value(of: usize, depth: u32) -> BoxedStrategy<Expression> {
    if depth == 0 {
        return leaf(of);
    }
    let case =
        (prop::collection::vec((below(BOOL, depth), below(of, depth)), 1..3), prop::option::of(below(of, depth)))
            .prop_map(move |(branches, otherwise)| {
                with(of, Kind::Case { branches, otherwise: otherwise.map(Box::new) })
            });
    let own = match of {
        INT => number(INT, depth),
        FLOAT => number(FLOAT, depth),
        BOOL => condition(depth),
        _ => (0..COLUMNS.len(), select(vec![CastMode::Fail, CastMode::Null]))
            .prop_flat_map(move |(from, mode)| {
                below(from, depth).prop_map(move |operand| with(TEXT, Kind::Cast { operand: Box::new(operand), mode }))
            })
            .boxed(),
    };
    prop_oneof![1 => leaf(of), 1 => case, 3 => own].boxed()
}

fn number(of: usize, depth: u32) -> BoxedStrategy<Expression> {
    use ArithmeticOp::*;
    let ops = match of {
        INT => vec![Add, Subtract, Multiply, Divide, Modulo, BitAnd, BitOr, BitXor, ShiftLeft, ShiftRight],
        _ => vec![Add, Subtract, Multiply, Divide, Modulo],
    };
    let overflow = select(vec![Overflow::Wrap, Overflow::Fail, Overflow::Null]);
    let operands = (below(of, depth), below(of, depth));
    (select(ops), overflow, operands, any::<bool>())
        .prop_map(move |(op, overflow, (left, right), negate)| {
            let (left, right) = (Box::new(left), Box::new(right));
            let whole = with(of, Kind::Arithmetic { op, overflow, left, right });
            if negate { with(of, Kind::Negate { operand: Box::new(whole), overflow }) } else { whole }
        })
        .boxed()
}

fn condition(depth: u32) -> BoxedStrategy<Expression> {
    use CompareOp::*;
    let any_of = || 0..COLUMNS.len();
    let op = select(vec![Equal, NotEqual, Less, LessEqual, Greater, GreaterEqual, DistinctFrom, NotDistinctFrom]);
    let compare = (op, any_of()).prop_flat_map(move |(op, of)| {
        (below(of, depth), below(of, depth)).prop_map(move |(l, r)| Expression::compare(op, l, r))
    });
    let operands = prop::collection::vec(below(BOOL, depth), 2..4);
    let logic = (operands, any::<bool>())
        .prop_map(|(operands, and)| with(BOOL, if and { Kind::And(operands) } else { Kind::Or(operands) }));
    let test = (any_of(), any::<bool>()).prop_flat_map(move |(of, null)| {
        below(of, depth).prop_map(move |e| {
            let operand = Box::new(e);
            with(BOOL, if null { Kind::IsNull(operand) } else { Kind::IsNotNull(operand) })
        })
    });
    let is = (below(BOOL, depth), any::<bool>(), any::<bool>()).prop_map(|(e, value, negated)| {
        let is = with(BOOL, Kind::IsBoolean { operand: Box::new(e), value, negated });
        if value { is } else { with(BOOL, Kind::Not(Box::new(is))) }
    });
    let list = (any_of(), any::<bool>()).prop_flat_map(move |(of, negated)| {
        (below(of, depth), prop::collection::vec(leaf(of), 0..4))
            .prop_map(move |(operand, list)| with(BOOL, Kind::InList { operand: Box::new(operand), list, negated }))
    });
    let escape = prop::option::of(any::<char>());
    let like = (below(TEXT, depth), leaf(TEXT), escape, any::<bool>(), any::<bool>()).prop_map(
        |(operand, pattern, escape, case_insensitive, negated)| {
            let (operand, pattern) = (Box::new(operand), Box::new(pattern));
            with(BOOL, Kind::Like { operand, pattern, escape, case_insensitive, negated })
        },
    );
    prop_oneof![compare, logic, test, is, list, like].boxed()
}

fn sort_keys() -> BoxedStrategy<Vec<SortKey>> {
    let key = (0..COLUMNS.len(), any::<bool>(), any::<bool>()).prop_flat_map(|(of, descending, nulls_first)| {
        value(of, 1).prop_map(move |expression| SortKey { expression, descending, nulls_first })
    });
    prop::collection::vec(key, 1..3).boxed()
}

fn relation(depth: u32) -> BoxedStrategy<Relation> {
    let scan = prop::collection::vec(condition(1), 0..2).prop_map(|wanted| {
        let mut relation = ONE.with(One::scan);
        if let Node::Scan { filters, fetch, .. } = &mut relation.node {
            *fetch = (wanted.len() == 1).then_some(7);
            *filters = wanted;
        }
        relation
    });
    if depth == 0 {
        return scan.boxed();
    }
    let input = move || later(move || relation(depth - 1)).prop_map(Box::new);
    let counts = || (0..100usize, prop::option::of(0..100usize));
    prop_oneof![
        (input(), condition(3)).prop_map(|(input, predicate)| Node::Filter { input, predicate }),
        (input(), [value(INT, 3), value(TEXT, 3), value(BOOL, 3), value(FLOAT, 3)])
            .prop_map(|(input, expressions)| Node::Project { input, expressions: expressions.to_vec() }),
        (input(), sort_keys(), counts()).prop_map(|(input, keys, (offset, fetch))| Node::Sort {
            input,
            keys,
            offset,
            fetch,
            threshold: None
        }),
        (input(), counts()).prop_map(|(input, (offset, fetch))| Node::Limit { input, offset, fetch }),
        prop::collection::vec(later(move || relation(depth - 1)), 1..4).prop_map(|inputs| Node::Union { inputs }),
        (input(), prop::option::of(1..4096usize), value(TEXT, 1)).prop_map(|(input, partitions, key)| {
            Node::Exchange {
                input,
                keys: partitions.iter().map(|_| key.clone()).collect(),
                partitions,
                numbered: false,
            }
        }),
        aggregate(input().boxed()),
        join(input().boxed(), input().boxed()),
        window(input().boxed()),
    ]
    .prop_map(|node| Relation::new(node, schema_of(&COLUMNS)))
    .boxed()
}

thread_local! {
    /// One table for all plans of a case, so that both ways show the same.
    static ONE: One = One::new();
}

fn aggregate(input: BoxedStrategy<Box<Relation>>) -> BoxedStrategy<Node> {
    let call = |function, of: usize, filter: Option<Expression>, distinct| AggregateExpression {
        function,
        arguments: vec![column(of)],
        filter,
        distinct,
        order_by: Vec::new(),
        data_type: COLUMNS[of].clone(),
    };
    (input, value(TEXT, 2), prop::option::of(condition(1)), any::<[bool; 3]>())
        .prop_map(move |(input, key, filter, [distinct, ignore_nulls, repeats])| {
            let mut last = call(AggregateFunction::Last { ignore_nulls }, FLOAT, None, false);
            last.order_by = vec![SortKey { expression: column(INT), descending: distinct, nulls_first: ignore_nulls }];
            let aggregates = vec![
                call(AggregateFunction::BoolOr, BOOL, filter, false),
                call(AggregateFunction::Max, FLOAT, None, distinct),
            ];
            let aggregates = if ignore_nulls { vec![aggregates[0].clone(), last] } else { aggregates };
            Node::Aggregate {
                input,
                group_by: vec![column(INT), key],
                grouping_sets: Vec::new(),
                aggregates,
                phase: if repeats && !distinct { AggregatePhase::Repeating } else { AggregatePhase::Single },
            }
        })
        .boxed()
}

fn join(left: BoxedStrategy<Box<Relation>>, right: BoxedStrategy<Box<Relation>>) -> BoxedStrategy<Node> {
    use JoinKind::*;
    let kinds = vec![Inner, Left, Right, Full, LeftSemi, LeftAnti, LeftMark, RightSemi, RightAnti, RightMark];
    (left, right, select(kinds), value(INT, 2), prop::option::of(condition(1)), any::<[bool; 3]>())
        .prop_map(|(left, right, kind, key, residual, [null_equal, null_aware, keyed])| {
            // Any columns of the types that are wanted, in another order than they came.
            let swapped = matches!(kind, Inner | Left | Right | Full) && null_equal;
            let projection = if swapped { vec![4, 1, 6, 3] } else { vec![0, 1, 2, 3] };
            let keys = if keyed { vec![key] } else { Vec::new() };
            let join = Join {
                kind,
                left_keys: keys.clone(),
                null_equal: vec![null_equal; keys.len()],
                right_keys: keys,
                residual,
                null_aware: null_aware && matches!(kind, LeftAnti | LeftMark),
                projection: Some(projection),
                runtime_filters: Vec::new(),
                cached_build: None,
            };
            Node::Join { left, right, join }
        })
        .boxed()
}

/// Windows over four columns give more; the projection above takes four again.
fn window(input: BoxedStrategy<Box<Relation>>) -> BoxedStrategy<Node> {
    let bounds = || {
        prop_oneof![
            Just((FrameBound::UnboundedPreceding, FrameBound::CurrentRow)),
            (0..9i64, 0..9u64).prop_map(|(a, b)| {
                (FrameBound::Preceding(Scalar::Int64(a)), FrameBound::Following(Scalar::UInt64(b)))
            }),
            Just((FrameBound::CurrentRow, FrameBound::UnboundedFollowing)),
        ]
    };
    let units = select(vec![FrameUnits::Rows, FrameUnits::Groups, FrameUnits::Range]);
    (input, units, bounds(), any::<bool>(), prop::option::of(condition(1)))
        .prop_map(|(input, units, (start, end), flag, filter)| {
            let frame = Frame { units, start, end };
            let constant = Expression::literal(Scalar::Int64(2), DataType::Int64);
            let sum = WindowExpression {
                function: WindowFunction::Aggregate(AggregateFunction::Sum),
                arguments: vec![column(INT)],
                frame: frame.clone(),
                filter,
                distinct: flag,
                ignore_nulls: false,
                data_type: DataType::Int64,
            };
            let lag = WindowExpression {
                function: if flag { WindowFunction::Lag } else { WindowFunction::NthValue },
                arguments: vec![column(FLOAT), constant],
                frame,
                filter: None,
                distinct: false,
                ignore_nulls: flag,
                data_type: DataType::Float64,
            };
            let key = SortKey { expression: column(INT), descending: flag, nulls_first: !flag };
            let types = [&COLUMNS[..], &[DataType::Int64, DataType::Float64]].concat();
            let node = Node::Window {
                input,
                partition_by: vec![column(TEXT)],
                order_by: vec![key],
                functions: vec![sum, lag],
            };
            let over = Relation::new(node, schema_of(&types));
            let taken = [4, 1, 2, 5].map(|c| Expression::column(c, types[c].clone()));
            Node::Project { input: Box::new(over), expressions: taken.to_vec() }
        })
        .boxed()
}

/// As it was before it was read: without numbers.
fn unnumbered(mut relation: Relation) -> Result<Relation> {
    relation.number = None;
    relation.map_children(&mut unnumbered)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn random_plans_survive(root in relation(4)) {
        let plan = plan_of(root);
        let bytes = encode(&plan).unwrap();
        let back = ONE.with(|one| decode(&bytes, one)).map_err(|e| TestCaseError::fail(e.to_string()))?;
        let plain = back.clone().map_trees(&mut unnumbered).map_err(|e| TestCaseError::fail(e.to_string()))?;
        prop_assert_eq!(format!("{:?}", plain), format!("{:?}", plan));
        prop_assert_eq!(encode(&back).unwrap(), bytes);
    }

    #[test]
    fn random_conditions_survive(predicate in condition(6)) {
        let root = ONE.with(One::scan).filter(predicate.clone());
        let bytes = encode(&plan_of(root)).unwrap();
        let back = ONE.with(|one| decode(&bytes, one)).map_err(|e| TestCaseError::fail(e.to_string()))?;
        let Node::Filter { predicate: came, .. } = back.root.node else { panic!("a filter") };
        prop_assert_eq!(came, predicate);
    }
}
