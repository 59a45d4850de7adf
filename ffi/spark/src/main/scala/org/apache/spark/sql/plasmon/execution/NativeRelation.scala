package org.apache.spark.sql.plasmon.execution

import org.apache.spark.sql.catalyst.expressions.Attribute
import org.apache.spark.sql.catalyst.types.DataTypeUtils
import org.apache.spark.sql.plasmon.expression.DataTypes
import org.apache.spark.sql.plasmon.proto.{Message, Node, PlanProto}
import org.apache.spark.sql.types.StructType

/** A relation of `plan.proto` under construction, with what it reads and whose counters are its own. `inputs` in the order of the message's fields. */
final case class NativeRelation(message: Message, inputs: Seq[NativeRelation], metrics: Option[OperatorMetrics] = None) {
  /** The metrics of this relation and of all below it, each before what it reads. */
  def inPreOrder: Seq[Option[OperatorMetrics]] = metrics +: inputs.flatMap(_.inPreOrder)

  /** A column of every row, by expressions over this relation. */
  def project(output: Seq[Attribute], expressions: Seq[Message]): NativeRelation =
    NativeRelation.of(output, PlanProto.project(message, expressions), this)
}

object NativeRelation {
  /** A relation that gives `output`. */
  def of(output: Seq[Attribute], node: Node, inputs: NativeRelation*): NativeRelation =
    NativeRelation(PlanProto.relation(fields(output), node), inputs)

  /** The columns as fields. They were found to have native types when the plan was converted. */
  def fields(output: Seq[Attribute]): Seq[Message] = fields(DataTypeUtils.fromAttributes(output))

  /** As that, of columns that are told by a schema. */
  def fields(schema: StructType): Seq[Message] =
    schema.fields.toSeq.map(column => PlanProto.field(column.name, DataTypes.known(column.dataType), column.nullable))
}
