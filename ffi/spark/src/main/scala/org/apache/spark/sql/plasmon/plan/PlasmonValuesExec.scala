package org.apache.spark.sql.plasmon.plan

import org.apache.spark.sql.catalyst.InternalRow
import org.apache.spark.sql.catalyst.expressions.{Attribute, Literal}
import org.apache.spark.sql.catalyst.plans.physical.Partitioning
import org.apache.spark.sql.execution.LeafExecNode
import org.apache.spark.sql.plasmon.execution.{BlockBuilder, NativeRelation}
import org.apache.spark.sql.plasmon.expression.{DataTypes, ExpressionConverter, Refusal, Subqueries}
import org.apache.spark.sql.plasmon.proto.PlanProto

/** Rows that stand in the plan itself. `outputPartitioning` is that of the relation of Spark's that this stands for. */
case class PlasmonValuesExec(output: Seq[Attribute], rows: Seq[InternalRow], override val outputPartitioning: Partitioning)
    extends LeafExecNode
    with PlasmonExec {

  override protected def stringArgs: Iterator[Any] = Iterator(output, s"${rows.size} rows")

  override protected def build(block: BlockBuilder): NativeRelation = {
    block.runOnce()
    val node =
      if (output.isEmpty) PlanProto.empty(oneRow = rows.nonEmpty)
      else PlanProto.values(PlasmonValuesExec.literals(output, rows).map(convertedAll(_, Nil)))
    give(node)
  }
}

object PlasmonValuesExec {
  /** Values that become a part of a plan at most. */
  private val ValuesMax = 1000

  /** Why these rows cannot be a part of a native plan; `None` when they can. */
  def refusal(output: Seq[Attribute], rows: Seq[InternalRow]): Option[Refusal] =
    if (output.isEmpty && rows.size > 1) refused("rows without columns")
    else if (output.size.toLong * rows.size > ValuesMax) refused(s"more than $ValuesMax values")
    else
      DataTypes.fields(output).left.toOption
        .orElse(ExpressionConverter.convertAll(literals(output, rows).flatten, Nil, Subqueries.StandIns).left.toOption)

  private def refused(detail: String) = Some(Refusal("Values", Refusal.Operator, detail))

  private def literals(output: Seq[Attribute], rows: Seq[InternalRow]): Seq[Seq[Literal]] =
    rows.map(row => output.zipWithIndex.map { case (column, i) => Literal(row.get(i, column.dataType), column.dataType) })
}
