package org.apache.spark.sql.plasmon.rule

import org.apache.spark.sql.SparkSession
import org.apache.spark.sql.catalyst.rules.Rule
import org.apache.spark.sql.execution._
import org.apache.spark.sql.plasmon.Settings
import org.apache.spark.sql.plasmon.plan.{NativeDriver, PlasmonBlockExec, PlasmonExec}

/**
 * Puts operators on the native engine, from the leaves up: one becomes native when it and its expressions have an exact native form and something below it
 * is native already, so that rows cross into the engine only beside others that are there. What is refused carries its reason ([[Fallback]]).
 *
 * The rule runs twice, when adaptive execution has a whole plan and when a stage gets its columnar form, and changes nothing that it has done before.
 */
case class ConvertToNative(session: SparkSession) extends Rule[SparkPlan] {
  override def apply(plan: SparkPlan): SparkPlan =
    if (Settings.isEnabled(conf) && !asksForFiles(plan)) {
      val converted = Blocks.close(Ordering.restore(DynamicPruning.byNativeTables(convert(plan))))
      Fallback.report(session, converted)
      converted
    } else {
      plan
    }

  /** Functions that give what Spark's own scan notes of the file that it reads. */
  private val OfFiles = Set("InputFileName", "InputFileBlockStart", "InputFileBlockLength")

  private def asksForFiles(plan: SparkPlan): Boolean =
    plan.exists(_.expressions.exists(_.exists(e => OfFiles.contains(e.getClass.getSimpleName))))

  private def convert(plan: SparkPlan): SparkPlan = plan match {
    case done: PlasmonExec => done
    case _ =>
      val node = plan.mapChildren(convert)
      Operators.convert(node) match {
        case Right(native) =>
          Fallback.clear(node)
          // With its link to the logical plan, but without one for exchanges below it: adaptive execution would take their stages for this node.
          native.copyTagsFrom(node)
          native
        case Left(Some(refusal)) =>
          Fallback.note(node, refusal)
          node
        case Left(None) => node
      }
  }
}

/** Where blocks of native operators end. */
private object Blocks {
  /** Puts a driver over every native operator whose rows something else reads. */
  def close(plan: SparkPlan): SparkPlan = plan match {
    case native: PlasmonExec => linked(native, PlasmonBlockExec(closeBelow(native)))
    case other => closeBelow(other)
  }

  private def closeBelow(plan: SparkPlan): SparkPlan = plan match {
    case inside @ (_: PlasmonExec | _: NativeDriver) =>
      inside.mapChildren {
        case native: PlasmonExec => closeBelow(native)
        case other => close(other)
      }
    case other => other.mapChildren(close)
  }

  private def linked(from: SparkPlan, to: SparkPlan): SparkPlan = {
    to.copyTagsFrom(from)
    to
  }
}
