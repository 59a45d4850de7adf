package org.apache.spark.sql.plasmon.rule

import org.apache.spark.sql.catalyst.InternalRow
import org.apache.spark.sql.execution.{EmptyRelationExec, LocalTableScanExec, RDDScanExec, SparkPlan}
import org.apache.spark.sql.plasmon.plan.PlasmonValuesExec

/** Relations whose rows are known when a query is planned. */
private object Constants {
  /** The relation natively, where it is one of constants and its values can be a part of a native plan. */
  def convert(leaf: SparkPlan): Option[PlasmonValuesExec] =
    rows(leaf)
      .filter(PlasmonValuesExec.refusal(leaf.output, _).isEmpty)
      .map(PlasmonValuesExec(leaf.output, _, leaf.outputPartitioning))

  private def rows(leaf: SparkPlan): Option[Seq[InternalRow]] = leaf match {
    case table: LocalTableScanExec if table.getStream.isEmpty => Some(table.rows)
    case _: EmptyRelationExec => Some(Nil)
    case other if isOneRow(other) => Some(Seq(InternalRow.empty))
    case _ => None
  }

  /** What a query without FROM reads: a scan of an RDD, which has become a class of its own in Spark 4.1. */
  private def isOneRow(leaf: SparkPlan): Boolean = leaf match {
    case scan: RDDScanExec => scan.name == "OneRowRelation"
    case other => other.getClass.getSimpleName == "OneRowRelationExec"
  }
}
