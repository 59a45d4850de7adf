package org.apache.spark.sql.plasmon.rule

import org.apache.spark.sql.catalyst.expressions.Expression
import org.apache.spark.sql.catalyst.optimizer.BuildLeft
import org.apache.spark.sql.execution.{SparkPlan, SubqueryAdaptiveBroadcastExec}
import org.apache.spark.sql.execution.joins.BroadcastHashJoinExec
import org.apache.spark.sql.plasmon.expression.Refusal

/**
 * Scans that are to be pruned by what a broadcast join will have in its table. Adaptive execution looks for that very join of Spark's when it plans the filter, and
 * reads everything if it finds none; so such a join stays Spark's. `keys`: those of the tables that filters wait for.
 */
private final case class DynamicPruning(keys: Seq[Seq[Expression]]) {
  /** Why a node must stay as it is. */
  def refusal(node: SparkPlan): Option[Refusal] = node match {
    case join: BroadcastHashJoinExec =>
      val table = if (join.buildSide == BuildLeft) join.leftKeys else join.rightKeys
      val isAwaited = keys.exists(awaited => awaited.size == table.size && awaited.zip(table).forall { case (a, b) => a.semanticEquals(b) })
      if (isAwaited) Some(Refusal(node.nodeName, Refusal.Broadcast, "a scan is pruned by its table")) else None
    case _ => None
  }
}

private object DynamicPruning {
  def of(plan: SparkPlan): DynamicPruning = DynamicPruning(
    plan.collect { case node => node.subqueries.collect { case awaiting: SubqueryAdaptiveBroadcastExec => awaiting.buildKeys } }.flatten)
}
