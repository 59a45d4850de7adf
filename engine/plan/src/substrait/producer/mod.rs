//! A plan of ours → Substrait, as it is before the engine's own optimizer.
//!
//! Functions are declared under the standard extensions where those have them, else under our own name with the library's function names.
//! Arithmetic says that overflow is an error, casts say what they do with values that have no image.

mod aggregate;
mod call;
mod expression;
mod join;
mod relation;
mod window;

use std::sync::Arc;

use arrow::datatypes::{DataType, Schema};
use plasmon_core::Result;
use plasmon_core::expression::{Expression, Kind, ScalarSlot};
use substrait_prost as proto;
use substrait_prost::extensions::simple_extension_declaration::{ExtensionFunction, MappingType};
use substrait_prost::extensions::{SimpleExtensionDeclaration, SimpleExtensionUrn};

use super::types::{from_arrow, names_of};
use crate::ir::{Plan, Relation};
use crate::path::Path;

/// The version of Substrait that is written.
const VERSION: (u32, u32, u32) = (0, 108, 0);

/// The Substrait plan of a plan.
pub(super) fn produce(plan: &Plan) -> Result<proto::Plan> {
    let top = Path::root("root");
    let mut producer = Producer { plan, urns: Vec::new(), functions: Vec::new(), subqueries: 0 };
    let input = producer.relation(&plan.root, &top.field("input"))?;
    let mut names = Vec::new();
    plan.root.schema.fields().iter().for_each(|f| names_of(f, &mut names));
    let root = proto::RelRoot { input: Some(input), names };
    let Producer { urns, functions, .. } = producer;
    let (major_number, minor_number, patch_number) = VERSION;
    let version = proto::Version {
        major_number,
        minor_number,
        patch_number,
        git_hash: String::new(),
        producer: format!("plasmon {}", env!("CARGO_PKG_VERSION")),
    };
    let urn = |(index, urn)| SimpleExtensionUrn { extension_urn_anchor: index as u32 + 1, urn };
    let function = |(index, (urn, name))| {
        let extension_urn_reference = urn as u32 + 1;
        let function = ExtensionFunction { extension_urn_reference, function_anchor: index as u32 + 1, name };
        SimpleExtensionDeclaration { mapping_type: Some(MappingType::ExtensionFunction(function)) }
    };
    Ok(proto::Plan {
        version: Some(version),
        extension_urns: urns.into_iter().enumerate().map(urn).collect(),
        extensions: functions.into_iter().enumerate().map(function).collect(),
        relations: vec![proto::PlanRel {
            detached_expressions: Vec::new(),
            detached_rels: Vec::new(),
            rel_type: Some(proto::plan_rel::RelType::Root(root)),
        }],
        ..Default::default()
    })
}

struct Producer<'a> {
    plan: &'a Plan,
    urns: Vec<String>,
    /// (index of the URN, compound name) in the order of their anchors.
    functions: Vec<(usize, String)>,
    /// Scalar sub-queries being written, within one another.
    subqueries: usize,
}

impl<'a> Producer<'a> {
    /// The anchor of a function.
    fn anchor(&mut self, urn: &str, name: String) -> u32 {
        let urn = self.urns.iter().position(|u| u == urn).unwrap_or_else(|| {
            self.urns.push(urn.to_string());
            self.urns.len() - 1
        });
        let known = self.functions.iter().position(|(u, n)| *u == urn && *n == name);
        let index = known.unwrap_or_else(|| {
            self.functions.push((urn, name));
            self.functions.len() - 1
        });
        index as u32 + 1
    }

    /// The sub-query that fills a slot.
    fn subquery(&self, slot: &Arc<ScalarSlot>) -> Option<&'a Relation> {
        self.plan.subqueries.iter().find(|(s, _)| Arc::ptr_eq(s, slot)).map(|(_, relation)| relation)
    }
}

/// The Substrait type of a value.
fn type_of(data_type: &DataType, nullable: bool, at: &Path<'_>) -> Result<proto::Type> {
    from_arrow(data_type, nullable).map_err(|reason| at.refuse(reason))
}

/// Whether an expression over rows of `schema` may be null.
fn is_nullable(expression: &Expression, schema: &Schema) -> bool {
    match &expression.kind {
        Kind::Column(column) => schema.fields().get(*column).is_none_or(|f| f.is_nullable()),
        Kind::Literal(value) => value.is_null(),
        Kind::Parameter(_) => true,
        Kind::IsNull(_) | Kind::IsNotNull(_) | Kind::IsBoolean { .. } => false,
        Kind::Cast { operand, mode } => {
            *mode == plasmon_core::expression::CastMode::Null || is_nullable(operand, schema)
        }
        Kind::Case { branches, otherwise } => {
            otherwise.as_ref().is_none_or(|e| is_nullable(e, schema))
                || branches.iter().any(|(_, then)| is_nullable(then, schema))
        }
        _ => expression.children().into_iter().any(|c| is_nullable(c, schema)),
    }
}

/// A column of the input.
fn column(index: usize) -> proto::Expression {
    use proto::expression::field_reference::{ReferenceType, RootReference, RootType};
    use proto::expression::reference_segment::{ReferenceType as Segment, StructField};
    let segment = Segment::StructField(Box::new(StructField { field: index as i32, child: None }));
    let segment = proto::expression::ReferenceSegment { reference_type: Some(segment) };
    let reference = proto::expression::FieldReference {
        reference_type: Some(ReferenceType::DirectReference(segment)),
        root_type: Some(RootType::RootReference(RootReference {})),
    };
    proto::Expression { rex_type: Some(proto::expression::RexType::Selection(Box::new(reference))) }
}
