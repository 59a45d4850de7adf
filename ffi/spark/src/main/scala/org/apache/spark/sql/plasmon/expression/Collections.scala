package org.apache.spark.sql.plasmon.expression

import org.apache.spark.sql.catalyst.expressions.{Left => _, Right => _, _}
import org.apache.spark.sql.plasmon.proto.Message
import org.apache.spark.sql.types.{ArrayType, DataType, DoubleType, FloatType, MapType, StructType}

/** Functions of arrays, maps and structs. */
private[expression] object Collections {
  import Form.{call, children, modal, of, withType, Arguments}

  val forms: Seq[Form] = Seq(
    modal("Size", "spark_size", flag = "legacySizeOfNull", negated = true)(),
    call("ArrayContains", "spark_array_contains"),
    Form("ElementAt", "spark_element_at[_ansi], spark_split_part")((e, c) => elementAt(e.asInstanceOf[ElementAt], c)),
    modal("GetArrayItem", "spark_get_array_item")(),
    call("GetMapValue", "spark_get_map_value"),
    Form("GetStructField", "spark_get_struct_field") { (e, c) =>
      val field = e.asInstanceOf[GetStructField]
      for {
        struct <- c(field.child)
        kind <- Form.typedNull(field.dataType)
        result <- c.callOf("spark_get_struct_field", Seq(struct, Form.int(field.ordinal), kind), field.dataType)
      } yield result
    },
    of("CreateArray", "spark_array")(withType(children)),
    Form("CreateNamedStruct", "spark_struct") { (e, c) =>
      val struct = e.asInstanceOf[CreateNamedStruct]
      for {
        values <- c.all(struct.valExprs)
        kind <- Form.typedNull(struct.dataType)
        result <- c.callOf("spark_struct", values :+ kind, struct.dataType)
      } yield result
    },
    of("ArrayDistinct", "spark_array_distinct")(elements(isOneOfASet)(ofSameType)),
    of("ArrayUnion", "spark_array_union")(elements(isOneOfASet)(ofSameType)),
    of("ArrayExcept", "spark_array_except")(elements(isOneOfASet)(ofSameType)),
    of("ArrayIntersect", "spark_array_intersect")(elements(isOneOfASet)(ofSameType)),
    of("ArraysOverlap", "spark_arrays_overlap")(elements(isOneOfASet)(children)),
    of("ArrayMax", "spark_array_max")(elements(isComparable)(children)),
    of("ArrayMin", "spark_array_min")(elements(isComparable)(children)),
    of("ArrayPosition", "spark_array_position")(elements(isComparable)(children)),
    of("SortArray", "spark_sort_array")(elements(isComparable)(ofSameType)),
    of("Slice", "spark_slice")(ofSameType),
    call("Flatten", "spark_flatten"),
    call("ArrayJoin", "spark_array_join"),
    call("MapKeys", "spark_map_keys"),
    call("MapValues", "spark_map_values"))

  private def isComparable(element: DataType): Boolean = element match {
    case _: ArrayType | _: StructType | _: MapType => false
    case other => Predicates.isComparable(other)
  }

  /** Spark tells -0.0 from 0.0 in some sets. */
  private def isOneOfASet(element: DataType): Boolean = element != FloatType && element != DoubleType && isComparable(element)

  /** Of arrays whose elements are of types that are `taken`. */
  private def elements(taken: DataType => Boolean)(arguments: Arguments): Arguments = (e, c) => {
    val arrays = e.children.map(_.dataType).collect { case array: ArrayType => array.elementType }
    arrays.find(!taken(_)) match {
      case Some(element) => Left(Refusal(Converter.name(e), Refusal.OperandType, s"of elements of ${element.simpleString}"))
      case None => arguments(e, c)
    }
  }

  /** Where the result is of the first array's type, also in whether elements may be null: the engine gives arrays of that. */
  private def ofSameType: Arguments = (e, c) =>
    if (e.dataType == e.children.head.dataType) children(e, c)
    else Left(Refusal(Converter.name(e), Refusal.OperandType, "arrays that differ in whether elements may be null"))

  /** `element_at`, and `split_part`, which Spark replaces by it. */
  private def elementAt(e: ElementAt, converter: Converter): Either[Refusal, Message] = e.left match {
    case split: StringSplitSQL if e.defaultValueOutOfBound.isDefined =>
      converter.call("spark_split_part", split.children :+ e.right, e.dataType)
    case _ if e.defaultValueOutOfBound.isDefined =>
      Left(Refusal("ElementAt", Refusal.Argument, "a default for what is out of bounds"))
    case _ => converter.call("spark_element_at" + Form.suffix(Form.failing(e.failOnError)), e.children, e.dataType)
  }
}
