//! Names of functions: Substrait's standard extensions ↔ what the engine computes. One table for both ways.
//!
//! An extension is known by its last word, so that every spelling is the same one: `extension:io.substrait:functions_arithmetic`,
//! `https://github.com/substrait-io/substrait/blob/main/extensions/functions_arithmetic.yaml`, `/functions_arithmetic.yaml`. Functions
//! of no standard extension are looked up in the function library under their own names; ours are written under [`OWN`].

use std::collections::HashMap;

use arrow::datatypes::DataType;
use datafusion_expr::Operator;
use plasmon_core::expression::{ArithmeticOp, CompareOp};
use substrait_prost as proto;
use substrait_prost::extensions::simple_extension_declaration::MappingType;

use super::types::{DeclaredTypes, from_arrow};

/// Prefix of the standard extensions' names.
pub(super) const STANDARD: &str = "extension:io.substrait:functions_";
/// The extension under which functions of our library are written that no standard extension has.
pub(super) const OWN: &str = "extension:dev.plasmon:functions";

/// What a scalar function computes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Meaning {
    Compare(CompareOp),
    And,
    Or,
    Xor,
    AndNot,
    Not,
    IsNull,
    IsNotNull,
    IsBoolean {
        value: bool,
        negated: bool,
    },
    Between,
    Arithmetic(ArithmeticOp),
    Negate,
    Like,
    Coalesce,
    Extract,
    /// The first argument that is not null and furthest; null when any is.
    Strict(&'static str),
    /// `||`, unless nulls are to be ignored.
    Concat,
    Operator(Operator),
    /// The library's function of that name.
    Library(&'static str),
}

/// A function of a standard extension.
pub(super) struct Row {
    /// The extension's last word.
    pub(super) extension: &'static str,
    pub(super) name: &'static str,
    /// How the argument types are written in the compound name; empty = each by its own abbreviation.
    pub(super) signature: &'static str,
    pub(super) meaning: Meaning,
}

const fn row(extension: &'static str, name: &'static str, signature: &'static str, meaning: Meaning) -> Row {
    Row { extension, name, signature, meaning }
}

use Meaning::{Arithmetic, Compare, IsBoolean, Library};

/// The first row of a meaning is how it is written.
pub(super) const SCALAR: &[Row] = &[
    row("comparison", "equal", "any_any", Compare(CompareOp::Equal)),
    row("comparison", "not_equal", "any_any", Compare(CompareOp::NotEqual)),
    row("comparison", "lt", "any_any", Compare(CompareOp::Less)),
    row("comparison", "lte", "any_any", Compare(CompareOp::LessEqual)),
    row("comparison", "gt", "any_any", Compare(CompareOp::Greater)),
    row("comparison", "gte", "any_any", Compare(CompareOp::GreaterEqual)),
    row("comparison", "is_distinct_from", "any_any", Compare(CompareOp::DistinctFrom)),
    row("comparison", "is_not_distinct_from", "any_any", Compare(CompareOp::NotDistinctFrom)),
    row("comparison", "between", "any_any_any", Meaning::Between),
    row("comparison", "is_null", "any", Meaning::IsNull),
    row("comparison", "is_not_null", "any", Meaning::IsNotNull),
    row("comparison", "is_true", "bool", IsBoolean { value: true, negated: false }),
    row("comparison", "is_not_true", "bool", IsBoolean { value: true, negated: true }),
    row("comparison", "is_false", "bool", IsBoolean { value: false, negated: false }),
    row("comparison", "is_not_false", "bool", IsBoolean { value: false, negated: true }),
    row("comparison", "is_nan", "", Library("isnan")),
    row("comparison", "nullif", "any_any", Library("nullif")),
    row("comparison", "coalesce", "any", Meaning::Coalesce),
    row("comparison", "least_skip_null", "any", Library("least")),
    row("comparison", "greatest_skip_null", "any", Library("greatest")),
    row("comparison", "least", "any", Meaning::Strict("least")),
    row("comparison", "greatest", "any", Meaning::Strict("greatest")),
    row("boolean", "and", "bool", Meaning::And),
    row("boolean", "or", "bool", Meaning::Or),
    row("boolean", "not", "bool", Meaning::Not),
    row("boolean", "xor", "bool_bool", Meaning::Xor),
    row("boolean", "and_not", "bool_bool", Meaning::AndNot),
    row("arithmetic", "add", "", Arithmetic(ArithmeticOp::Add)),
    row("arithmetic", "subtract", "", Arithmetic(ArithmeticOp::Subtract)),
    row("arithmetic", "multiply", "", Arithmetic(ArithmeticOp::Multiply)),
    row("arithmetic", "divide", "", Arithmetic(ArithmeticOp::Divide)),
    row("arithmetic", "modulus", "", Arithmetic(ArithmeticOp::Modulo)),
    row("arithmetic", "modulo", "", Arithmetic(ArithmeticOp::Modulo)),
    row("arithmetic", "mod", "", Arithmetic(ArithmeticOp::Modulo)),
    row("arithmetic", "bitwise_and", "", Arithmetic(ArithmeticOp::BitAnd)),
    row("arithmetic", "bitwise_or", "", Arithmetic(ArithmeticOp::BitOr)),
    row("arithmetic", "bitwise_xor", "", Arithmetic(ArithmeticOp::BitXor)),
    row("arithmetic", "shift_left", "", Arithmetic(ArithmeticOp::ShiftLeft)),
    row("arithmetic", "shift_right", "", Arithmetic(ArithmeticOp::ShiftRight)),
    row("arithmetic", "negate", "", Meaning::Negate),
    row("arithmetic", "power", "", Library("power")),
    row("arithmetic", "sqrt", "", Library("sqrt")),
    row("arithmetic", "exp", "", Library("exp")),
    row("arithmetic", "sin", "", Library("sin")),
    row("arithmetic", "cos", "", Library("cos")),
    row("arithmetic", "tan", "", Library("tan")),
    row("arithmetic", "asin", "", Library("asin")),
    row("arithmetic", "acos", "", Library("acos")),
    row("arithmetic", "atan", "", Library("atan")),
    row("arithmetic", "sinh", "", Library("sinh")),
    row("arithmetic", "cosh", "", Library("cosh")),
    row("arithmetic", "tanh", "", Library("tanh")),
    row("arithmetic", "asinh", "", Library("asinh")),
    row("arithmetic", "acosh", "", Library("acosh")),
    row("arithmetic", "atanh", "", Library("atanh")),
    row("arithmetic", "atan2", "", Library("atan2")),
    row("arithmetic", "radians", "", Library("radians")),
    row("arithmetic", "degrees", "", Library("degrees")),
    row("arithmetic", "abs", "", Library("abs")),
    row("arithmetic", "sign", "", Library("signum")),
    row("arithmetic", "factorial", "", Library("factorial")),
    row("logarithmic", "ln", "", Library("ln")),
    row("logarithmic", "log10", "", Library("log10")),
    row("logarithmic", "log2", "", Library("log2")),
    row("rounding", "ceil", "", Library("ceil")),
    row("rounding", "floor", "", Library("floor")),
    row("rounding", "round", "", Library("round")),
    row("string", "concat", "str", Meaning::Concat),
    row("string", "like", "str_str", Meaning::Like),
    row("string", "substring", "", Library("substr")),
    row("string", "starts_with", "", Library("starts_with")),
    row("string", "ends_with", "", Library("ends_with")),
    row("string", "contains", "", Library("contains")),
    row("string", "strpos", "", Library("strpos")),
    row("string", "lower", "", Library("lower")),
    row("string", "upper", "", Library("upper")),
    row("string", "initcap", "", Library("initcap")),
    row("string", "char_length", "", Library("character_length")),
    row("string", "bit_length", "", Library("bit_length")),
    row("string", "octet_length", "", Library("octet_length")),
    row("string", "replace", "", Library("replace")),
    row("string", "repeat", "", Library("repeat")),
    row("string", "reverse", "", Library("reverse")),
    row("string", "concat_ws", "str", Library("concat_ws")),
    row("string", "ltrim", "", Library("ltrim")),
    row("string", "rtrim", "", Library("rtrim")),
    row("string", "trim", "", Library("btrim")),
    row("string", "lpad", "", Library("lpad")),
    row("string", "rpad", "", Library("rpad")),
    row("string", "left", "", Library("left")),
    row("string", "right", "", Library("right")),
    row("datetime", "extract", "", Meaning::Extract),
    row("datetime", "add", "", Arithmetic(ArithmeticOp::Add)),
    row("datetime", "add_intervals", "", Arithmetic(ArithmeticOp::Add)),
    row("datetime", "subtract", "", Arithmetic(ArithmeticOp::Subtract)),
    row("datetime", "lt", "", Compare(CompareOp::Less)),
    row("datetime", "lte", "", Compare(CompareOp::LessEqual)),
    row("datetime", "gt", "", Compare(CompareOp::Greater)),
    row("datetime", "gte", "", Compare(CompareOp::GreaterEqual)),
    // Names that producers use without a standard extension.
    row("", "str_concat", "", Meaning::Operator(Operator::StringConcat)),
    row("", "||", "", Meaning::Operator(Operator::StringConcat)),
    row("", "regex_match", "", Meaning::Operator(Operator::RegexMatch)),
    row("", "regex_imatch", "", Meaning::Operator(Operator::RegexIMatch)),
    row("", "regex_not_match", "", Meaning::Operator(Operator::RegexNotMatch)),
    row("", "regex_not_imatch", "", Meaning::Operator(Operator::RegexNotIMatch)),
    row("", "~", "", Meaning::Operator(Operator::RegexMatch)),
    row("", "~*", "", Meaning::Operator(Operator::RegexIMatch)),
    row("", "!~", "", Meaning::Operator(Operator::RegexNotMatch)),
    row("", "!~*", "", Meaning::Operator(Operator::RegexNotIMatch)),
];

/// Aggregate functions: (extension, Substrait's name, the library's name).
pub(super) const AGGREGATE: &[(&str, &str, &str)] = &[
    ("aggregate_generic", "count", "count"),
    ("aggregate_generic", "any_value", "first_value"),
    ("arithmetic", "sum", "sum"),
    ("arithmetic", "avg", "avg"),
    ("arithmetic", "min", "min"),
    ("arithmetic", "max", "max"),
    ("arithmetic", "corr", "corr"),
    ("arithmetic", "median", "median"),
    ("boolean", "bool_and", "bool_and"),
    ("boolean", "bool_or", "bool_or"),
    ("aggregate_approx", "approx_count_distinct", "approx_distinct"),
    ("string", "string_agg", "string_agg"),
    ("arithmetic", "bitwise_and", "bit_and"),
    ("arithmetic", "bitwise_or", "bit_or"),
    ("arithmetic", "bitwise_xor", "bit_xor"),
];

/// A function that a plan declares.
#[derive(Debug, Clone)]
pub(super) struct Declared {
    /// The standard extension's last word; `None` for any other extension, or none.
    pub(super) extension: Option<String>,
    /// Without the argument types behind a colon.
    pub(super) name: String,
    /// The argument types behind the colon, where they are stated.
    pub(super) signature: Option<String>,
}

impl Declared {
    /// What the scalar function means by the table, if it stands there.
    pub(super) fn meaning(&self) -> Option<Meaning> {
        let named = || SCALAR.iter().filter(|row| row.name == self.name);
        match self.extension.as_deref() {
            Some(extension) => {
                let own = named().find(|row| extension.starts_with(row.extension) && !row.extension.is_empty());
                own.or_else(|| named().next()).map(|row| row.meaning)
            }
            None => named().next().map(|row| row.meaning),
        }
    }

    /// Whether arguments of these types are what the name declares. Untyped nulls are of every type, and one word stands for any number of arguments.
    pub(super) fn takes<'t>(&self, types: impl ExactSizeIterator<Item = &'t DataType>) -> bool {
        let Some(signature) = self.signature.as_deref() else { return true };
        let words: Vec<&str> = signature.split('_').filter(|w| !w.is_empty()).collect();
        if words.len() != types.len() && words.len() != 1 {
            return false;
        }
        words.iter().cycle().zip(types).all(|(word, data_type)| is_word_for(word, data_type))
    }

    /// The library's name of an aggregate function.
    pub(super) fn aggregate(&self) -> &str {
        AGGREGATE.iter().find(|row| row.1 == self.name).map_or(self.name.as_str(), |row| row.2)
    }
}

/// The functions and types that a plan declares, by anchor.
pub(super) fn declarations(plan: &proto::Plan) -> (HashMap<u32, Declared>, DeclaredTypes) {
    let urns: HashMap<u32, &str> =
        plan.extension_urns.iter().map(|u| (u.extension_urn_anchor, u.urn.as_str())).collect();
    let (mut functions, mut types) = (HashMap::new(), DeclaredTypes::default());
    for declaration in &plan.extensions {
        match &declaration.mapping_type {
            Some(MappingType::ExtensionFunction(f)) => {
                let urn = urns.get(&f.extension_urn_reference).copied().unwrap_or_default();
                let (name, signature) = match f.name.split_once(':') {
                    Some((name, signature)) => (name, Some(signature.to_lowercase())),
                    None => (f.name.as_str(), None),
                };
                let declared = Declared { extension: standard(urn), name: name.to_lowercase(), signature };
                functions.insert(f.function_anchor, declared);
            }
            Some(MappingType::ExtensionType(t)) => drop(types.types.insert(t.type_anchor, t.name.clone())),
            Some(MappingType::ExtensionTypeVariation(v)) => {
                types.variations.insert(v.type_variation_anchor, v.name.clone());
            }
            None => {}
        }
    }
    for alias in &plan.type_aliases {
        if let Some(stated) = &alias.r#type {
            types.aliases.insert(alias.type_alias_anchor, stated.clone());
        }
    }
    (functions, types)
}

/// The last word of a standard extension's name.
fn standard(urn: &str) -> Option<String> {
    let last = urn.rsplit(['/', ':']).next()?;
    let word = last.strip_prefix("functions_")?;
    Some(word.trim_end_matches(".yaml").to_string())
}

/// Whether a word of a compound name is of that type. What has no word of its own is taken by all.
fn is_word_for(word: &str, data_type: &DataType) -> bool {
    let own = match from_arrow(data_type, true) {
        Ok(stated) if *data_type != DataType::Null => abbreviation(&stated),
        _ => return true,
    };
    match word.trim_end_matches('?') {
        any if any.starts_with("any") => true,
        "string" | "vchar" | "fchar" | "varchar" => own == "str",
        "boolean" => own == "bool",
        "binary" => own == "vbin",
        "decimal" => own == "dec",
        "time" => own == "pt",
        "ts" | "timestamp" => own == "pts",
        "tstz" => own == "ptstz",
        // An interval of any unit is read as one of all.
        "iyear" | "iday" | "icompound" => matches!(own, "iyear" | "iday" | "icompound"),
        word => own == word || own == "any",
    }
}

/// The abbreviation of a type in compound names.
pub(super) fn abbreviation(stated: &proto::Type) -> &'static str {
    use substrait_prost::r#type::Kind;
    match &stated.kind {
        Some(Kind::Bool(_)) => "bool",
        Some(Kind::I8(_)) => "i8",
        Some(Kind::I16(_)) => "i16",
        Some(Kind::I32(_)) => "i32",
        Some(Kind::I64(_)) => "i64",
        Some(Kind::Fp32(_)) => "fp32",
        Some(Kind::Fp64(_)) => "fp64",
        Some(Kind::String(_)) => "str",
        Some(Kind::Binary(_)) => "vbin",
        Some(Kind::Date(_)) => "date",
        Some(Kind::Decimal(_)) => "dec",
        Some(Kind::IntervalYear(_)) => "iyear",
        Some(Kind::IntervalDay(_)) => "iday",
        Some(Kind::IntervalCompound(_)) => "icompound",
        Some(Kind::PrecisionTime(_)) => "pt",
        Some(Kind::PrecisionTimestamp(_)) => "pts",
        Some(Kind::PrecisionTimestampTz(_)) => "ptstz",
        Some(Kind::FixedBinary(_)) => "fbin",
        Some(Kind::Struct(_)) => "struct",
        Some(Kind::List(_)) => "list",
        Some(Kind::Map(_)) => "map",
        _ => "any",
    }
}

/// The extension of arithmetic over values of that type.
pub(super) fn extension_for(extension: &'static str, data_type: Option<&DataType>) -> &'static str {
    match (extension, data_type) {
        ("arithmetic", Some(t)) if t.is_decimal() => "arithmetic_decimal",
        ("arithmetic", Some(t)) if t.is_temporal() => "datetime",
        (other, _) => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_spelling_of_an_extension_is_one() {
        for urn in [
            "extension:io.substrait:functions_arithmetic_decimal",
            "https://github.com/substrait-io/substrait/blob/main/extensions/functions_arithmetic_decimal.yaml",
            "/functions_arithmetic_decimal.yaml",
        ] {
            assert_eq!(standard(urn).as_deref(), Some("arithmetic_decimal"));
        }
        assert_eq!(standard(OWN), None);
        assert_eq!(standard(""), None);
    }

    #[test]
    fn functions_of_one_name_differ_by_their_extension() {
        let declared = |extension: Option<&str>, name: &str, signature: Option<&str>| Declared {
            extension: extension.map(str::to_string),
            name: name.into(),
            signature: signature.map(str::to_string),
        };
        assert_eq!(declared(Some("datetime"), "add", None).meaning(), Some(Arithmetic(ArithmeticOp::Add)));
        assert_eq!(declared(None, "add", None).meaning(), Some(Arithmetic(ArithmeticOp::Add)));
        assert_eq!(declared(None, "any_value", None).aggregate(), "first_value");
        let takes = |signature, types: &[DataType]| declared(None, "f", signature).takes(types.iter());
        assert!(takes(None, &[DataType::Int64]) && takes(Some(""), &[]) && takes(Some("i64"), &[DataType::Null]));
        assert!(takes(Some("string_any1"), &[DataType::Utf8View, DataType::Date32]));
        assert!(takes(Some("str"), &[DataType::Utf8, DataType::Utf8]), "one word stands for any number of arguments");
        assert!(!takes(Some("fp64"), &[DataType::Int64]) && !takes(Some("i64_i64"), &[DataType::Int64]));
    }
}
