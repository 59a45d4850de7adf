package org.apache.spark.sql.plasmon.rule

import org.apache.spark.sql.SparkSession
import org.apache.spark.sql.catalyst.trees.TreeNodeTag
import org.apache.spark.sql.execution._
import org.apache.spark.sql.execution.adaptive.AdaptiveSparkPlanExec
import org.apache.spark.sql.plasmon.Settings
import org.apache.spark.sql.plasmon.expression.Refusal
import org.apache.spark.sql.plasmon.plan.PlasmonExec

/** Why a node is left to Spark: one reason a node, on the node itself. */
object Fallback {
  private val Tag = TreeNodeTag[Refusal]("plasmon.fallback")

  def note(node: SparkPlan, refusal: Refusal): Unit = node.setTagValue(Tag, refusal)
  def clear(node: SparkPlan): Unit = node.unsetTagValue(Tag)

  /** The reason why a node is not native; `None` for one that is, or that is no operator on rows. */
  def of(node: SparkPlan): Option[Refusal] = node match {
    case _: PlasmonExec => None
    case other => other.getTagValue(Tag)
  }

  /** All nodes of a plan that were refused, stages and sub-queries included. */
  def all(plan: SparkPlan): Seq[(SparkPlan, Refusal)] = nodes(plan).flatMap(node => of(node).map(node -> _))

  /** All nodes of a plan, stages and sub-queries included. */
  def nodes(plan: SparkPlan): Seq[SparkPlan] = {
    val below = plan match {
      case adaptive: AdaptiveSparkPlanExec => nodes(adaptive.executedPlan)
      case stage: adaptive.QueryStageExec => nodes(stage.plan)
      case other => other.children.flatMap(nodes)
    }
    (plan +: below) ++ plan.subqueries.flatMap(nodes)
  }

  /** Ends a query that is not native as a whole, where the setting asks for that. */
  def report(session: SparkSession, plan: SparkPlan): Unit =
    if (session.sessionState.conf.getConf(Settings.FallbackIsError)) {
      all(plan).headOption.foreach { case (node, refusal) =>
        throw new UnsupportedOperationException(s"${node.nodeName} is left to Spark: $refusal (${Settings.FallbackIsError.key} is set)")
      }
    }
}
