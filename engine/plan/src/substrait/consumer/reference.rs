//! Field references: columns, and what lies inside of structs, lists and maps.

use std::ops::Range;

use arrow::datatypes::{DataType, SchemaRef};
use plasmon_core::Result;
use plasmon_core::expression::{Expression, Scalar};
use substrait_prost::expression::FieldReference;
use substrait_prost::expression::ReferenceSegment;
use substrait_prost::expression::field_reference::outer_reference::OuterReferenceType;
use substrait_prost::expression::field_reference::{OuterReference, ReferenceType, RootType};
use substrait_prost::expression::reference_segment::ReferenceType as Segment;

use super::Consumer;
use super::call::Arguments;
use crate::path::Path;

impl<'a> Consumer<'a> {
    /// A reference to a field of the rows of `schema`, or of an expression's value.
    pub(super) fn selection(
        &mut self,
        reference: &'a FieldReference,
        schema: &SchemaRef,
        at: &Path<'_>,
    ) -> Result<Expression> {
        let segment = match &reference.reference_type {
            Some(ReferenceType::DirectReference(segment)) => segment,
            Some(ReferenceType::MaskedReference(_)) => return Err(at.refuse("a masked reference")),
            None => return Err(at.wrong("a reference to nothing")),
        };
        match &reference.root_type {
            Some(RootType::Expression(root)) => {
                let root = self.expression(root, schema, &at.field("expression"))?;
                self.inside(root, Some(segment), at)
            }
            Some(RootType::OuterReference(outer)) => match (self.outer_width, is_next(outer)) {
                (Some(width), true) => self.column(segment, schema, 0..width, at),
                _ => Err(at.refuse("a correlated sub-query (it reads a column of the query around it) in this place")),
            },
            Some(RootType::LambdaParameterReference(_)) => Err(at.refuse("a lambda's parameter")),
            Some(RootType::RootReference(_)) | None => {
                self.column(segment, schema, self.outer_width.unwrap_or(0)..schema.fields().len(), at)
            }
        }
    }

    /// What a segment selects of the columns `range`.
    fn column(
        &mut self,
        segment: &'a ReferenceSegment,
        schema: &SchemaRef,
        range: Range<usize>,
        at: &Path<'_>,
    ) -> Result<Expression> {
        let Some(Segment::StructField(field)) = &segment.reference_type else {
            return Err(at.wrong("a reference to a row that names no column"));
        };
        let width = range.len();
        let column = usize::try_from(field.field).ok().filter(|&c| c < width).map(|c| range.start + c);
        let Some(column) = column else { return Err(at.wrong(format!("column {} of {width}", field.field))) };
        let value = Expression::column(column, schema.field(column).data_type().clone());
        self.inside(value, field.child.as_deref(), at)
    }

    /// What a segment selects of a value, and the segments behind it.
    fn inside(
        &mut self,
        value: Expression,
        segment: Option<&'a ReferenceSegment>,
        at: &Path<'_>,
    ) -> Result<Expression> {
        let Some(segment) = segment else { return Ok(value) };
        self.enter(at)?;
        let selected = self.selected(value, segment, at);
        self.leave();
        selected
    }

    fn selected(&mut self, value: Expression, segment: &'a ReferenceSegment, at: &Path<'_>) -> Result<Expression> {
        let integer = |v: i64| Expression::literal(Scalar::Int64(v), DataType::Int64);
        let (name, values, child) = match &segment.reference_type {
            Some(Segment::StructField(field)) => {
                let DataType::Struct(fields) = &value.data_type else {
                    return Err(at.wrong(format!("a field of {}, which is no struct", value.data_type)));
                };
                let name = usize::try_from(field.field).ok().and_then(|i| fields.get(i)).map(|f| f.name().clone());
                let Some(name) = name else {
                    return Err(at.wrong(format!("field {} of {}", field.field, fields.len())));
                };
                let name = Expression::literal(Scalar::Bytes(name.into_bytes().into()), DataType::Utf8);
                ("get_field", vec![value, name], field.child.as_deref())
            }
            Some(Segment::ListElement(element)) => {
                // Counted from 0, or from the end by negative numbers; the library counts from 1.
                let offset = i64::from(element.offset);
                let position = if offset < 0 { offset } else { offset + 1 };
                ("array_element", vec![value, integer(position)], element.child.as_deref())
            }
            Some(Segment::MapKey(key)) => {
                let Some(literal) = &key.map_key else { return Err(at.wrong("a map key is missing")) };
                let literal = self.types.constant(literal, &at.field("map_key"))?;
                let found = vec![value, literal];
                let found = self.library("map_extract", Arguments { values: found, words: Vec::new() }, at)?;
                ("array_element", vec![found, integer(1)], key.child.as_deref())
            }
            None => return Err(at.wrong("an empty reference")),
        };
        let selected = self.library(name, Arguments { values, words: Vec::new() }, at)?;
        self.inside(selected, child, at)
    }
}

/// Whether a reference leads to the query right around the sub-query.
#[expect(deprecated, reason = "the form that producers write")]
fn is_next(outer: &OuterReference) -> bool {
    matches!(outer.outer_reference_type, Some(OuterReferenceType::StepsOut(1)))
}
