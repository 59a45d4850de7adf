package org.apache.spark.sql.plasmon.rule

import org.apache.spark.sql.catalyst.expressions.SortOrder
import org.apache.spark.sql.execution.{SortExec, SparkPlan}
import org.apache.spark.sql.plasmon.expression.Subqueries
import org.apache.spark.sql.plasmon.plan.{PlasmonExec, PlasmonSortExec, SortKeys}

/** Native joins and aggregates give rows in no order, where the operators that they stand for may have given one that an operator above reads by. */
private object Ordering {
  /** Sorts the inputs of Spark's operators that need an order which their inputs have no more. */
  def restore(plan: SparkPlan): SparkPlan = {
    val below = plan.mapChildren(restore)
    below match {
      case native: PlasmonExec => native
      case reader =>
        val wanted = reader.requiredChildOrdering
        if (wanted.forall(_.isEmpty)) reader
        else reader.withNewChildren(reader.children.zip(wanted).map { case (child, order) => sorted(child, order) })
    }
  }

  private def sorted(child: SparkPlan, order: Seq[SortOrder]): SparkPlan =
    if (SortOrder.orderingSatisfies(child.outputOrdering, order)) child
    else child match {
      case native: PlasmonExec if SortKeys.convert(order, native.output, Subqueries.StandIns).isRight => PlasmonSortExec(order, None, 0, native)
      case other => SortExec(order, global = false, other)
    }
}
