package org.apache.spark.sql.plasmon.rule

import org.apache.spark.sql.SparkSession
import org.apache.spark.sql.catalyst.expressions._
import org.apache.spark.sql.catalyst.expressions.aggregate.{Max, Min}
import org.apache.spark.sql.catalyst.plans.LeftExistence
import org.apache.spark.sql.catalyst.plans.logical.{Aggregate, Join, LogicalPlan, Project}
import org.apache.spark.sql.catalyst.rules.Rule
import org.apache.spark.sql.catalyst.trees.TreePattern
import org.apache.spark.sql.plasmon.Settings

/**
 * `EXISTS (SELECT * FROM i WHERE i.key = o.key AND i.x <> o.x)` asks whether a key has any other x: its smallest and its greatest tell. So one row a key is
 * shuffled and joined instead of all rows. The same holds for NOT EXISTS, and for semi and anti joins.
 *
 * Only where the rows are too many to be broadcast: a small table costs less than another shuffle.
 */
case class UnequalExists(session: SparkSession) extends Rule[LogicalPlan] {
  override def apply(plan: LogicalPlan): LogicalPlan =
    if (!Settings.isEnabled(conf)) plan else joins(plan.transformAllExpressionsWithPruning(_.containsPattern(TreePattern.EXISTS_SUBQUERY)) {
      case exists: Exists if exists.hint.isEmpty =>
        ofKeys(exists.plan, exists.joinCond).map { case (rows, conditions) => exists.copy(plan = rows, joinCond = conditions) }.getOrElse(exists)
    })

  private def joins(plan: LogicalPlan): LogicalPlan = plan.transformWithPruning(_.containsPattern(TreePattern.JOIN)) {
    case join @ Join(_, right, LeftExistence(_), Some(condition), hint) if hint.rightHint.isEmpty =>
      ofKeys(right, Seq(condition)).map { case (rows, conditions) => join.copy(right = rows, condition = conditions.reduceOption(And)) }.getOrElse(join)
  }

  /** The rows that tell as much as those of `inner`, and the conditions over them; None where all of `inner` is as good or needed. */
  private def ofKeys(inner: LogicalPlan, conditions: Seq[Expression]): Option[(LogicalPlan, Seq[Expression])] = {
    val all = conditions.flatMap(split)
    val (equal, others) = all.partition(equalKey(_, inner).isDefined)
    val keys = equal.flatMap(equalKey(_, inner)).distinct
    others match {
      case Seq(Not(EqualTo(a, b))) if keys.nonEmpty =>
        for {
          (own, outer) <- sides(a, b, inner) if RowOrdering.isOrderable(own.dataType)
          if !isUnique(inner, keys) && isLarge(inner, keys ++ own.references)
        } yield {
          val least = Alias(Min(own).toAggregateExpression(), "least")()
          val greatest = Alias(Max(own).toAggregateExpression(), "greatest")()
          val isOther = Seq(least, greatest).map(bound => Not(EqualTo(bound.toAttribute, outer))).reduce(Or)
          (Aggregate(keys, keys ++ Seq(least, greatest), inner), equal :+ isOther)
        }
      case _ => None
    }
  }

  private def split(condition: Expression): Seq[Expression] = condition match {
    case And(left, right) => split(left) ++ split(right)
    case other => Seq(other)
  }

  /** The key of `inner` that a condition compares with something of the other side. */
  private def equalKey(condition: Expression, inner: LogicalPlan): Option[Attribute] = condition match {
    case Equality(a, b) => sides(a, b, inner).collect { case (key: Attribute, _) => key }
    case _ => None
  }

  /** What is of `inner` alone in a comparison, and what has nothing of it. */
  private def sides(a: Expression, b: Expression, inner: LogicalPlan): Option[(Expression, Expression)] =
    Seq((a, b), (b, a)).find { case (own, outer) =>
      Seq(own, outer).forall(side => side.deterministic && side.references.nonEmpty) &&
        own.references.subsetOf(inner.outputSet) && outer.references.intersect(inner.outputSet).isEmpty
    }

  private def isUnique(inner: LogicalPlan, keys: Seq[Attribute]): Boolean = inner.distinctKeys.exists(_.subsetOf(ExpressionSet(keys)))

  private def isLarge(inner: LogicalPlan, read: Seq[Attribute]): Boolean =
    Project(read, inner).stats.sizeInBytes > BigInt(conf.autoBroadcastJoinThreshold.max(0))
}
