package dev.plasmon.spark

import org.apache.spark.scheduler.SparkListenerEvent
import org.apache.spark.sql.execution.QueryExecution
import org.apache.spark.sql.plasmon.PlasmonPluginAccess
import org.apache.spark.sql.util.QueryExecutionListener

/** What became of a query, in the event log: how many of its operators ran natively, and why each other one did not. */
final case class PlasmonQueryEvent(queryExecutionId: Long, nativeOperators: Int, fallbacks: Seq[FallbackReason]) extends SparkListenerEvent

/** Tells of every query, once it has ended and its plan is what was run. */
class PlasmonListener extends QueryExecutionListener {
  override def onSuccess(function: String, query: QueryExecution, nanoseconds: Long): Unit = tell(query)
  override def onFailure(function: String, query: QueryExecution, exception: Exception): Unit = tell(query)

  private def tell(query: QueryExecution): Unit = {
    val plan = query.executedPlan
    val event = PlasmonQueryEvent(query.id, PlasmonPluginAccess.nativeOperators(plan), FallbackReport.of(plan).toSeq)
    PlasmonPluginAccess.post(query.sparkSession.sparkContext, event)
  }
}
