package dev.plasmon.spark

import org.apache.spark.sql.execution.SparkPlan
import org.apache.spark.sql.plasmon.rule.Fallback

/** One node that was left to Spark: its name in the plan, one of a few stable codes, and the same for people. */
final case class FallbackReason(node: String, reason: String, detail: String) {
  override def toString: String = s"$node: $reason: $detail"
}

/** Why nodes of a plan are not native. From Python: `plasmon.spark.fallback_report(frame)`. */
object FallbackReport {
  /** The nodes of the plan that were refused, stages and sub-queries included; of an adaptive plan, as far as it has come. */
  def of(plan: SparkPlan): Array[FallbackReason] =
    Fallback.all(plan).map { case (node, refusal) => FallbackReason(node.nodeName, refusal.reason, s"${refusal.node}: ${refusal.detail}") }.toArray
}
