package org.apache.spark.sql.plasmon.expression

import org.apache.spark.sql.catalyst.expressions.{Left => _, Right => _, _}
import org.apache.spark.sql.plasmon.proto.Message

/** Functions of arrays, maps and structs. */
private[expression] object Collections {
  import Form.{call, children, modal, of, withType}

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
    call("MapKeys", "spark_map_keys"),
    call("MapValues", "spark_map_values"))

  /** `element_at`, and `split_part`, which Spark replaces by it. */
  private def elementAt(e: ElementAt, converter: Converter): Either[Refusal, Message] = e.left match {
    case split: StringSplitSQL if e.defaultValueOutOfBound.isDefined =>
      converter.call("spark_split_part", split.children :+ e.right, e.dataType)
    case _ if e.defaultValueOutOfBound.isDefined =>
      Left(Refusal("ElementAt", Refusal.Argument, "a default for what is out of bounds"))
    case _ => converter.call("spark_element_at" + Form.suffix(Form.failing(e.failOnError)), e.children, e.dataType)
  }
}
