package org.apache.spark.sql.plasmon.rule

import org.apache.spark.sql.catalyst.expressions.{Alias, DynamicPruningExpression, Expression, NamedExpression}
import org.apache.spark.sql.catalyst.trees.TreePattern
import org.apache.spark.sql.execution._
import org.apache.spark.sql.execution.adaptive.AdaptiveSparkPlanExec
import org.apache.spark.sql.execution.exchange.BroadcastExchangeExec
import org.apache.spark.sql.plasmon.exchange.PlasmonBroadcastExchangeExec
import org.apache.spark.sql.plasmon.expression.{ExpressionConverter, Subqueries}
import org.apache.spark.sql.plasmon.plan.{PlasmonBlockExec, PlasmonBroadcastKeysExec, PlasmonJoinExec}

/**
 * Scans that are pruned by what a broadcast join has in its table. Spark's own rule looks for that very join of its own when it plans the filter, and reads
 * everything if it finds none. So a filter whose table is native gets its sub-query before that rule comes: one that reads the keys of an exchange equal to the
 * join's, of which Spark runs only one.
 */
private object DynamicPruning {
  /** Gives the scans of a converted plan the filters that its native tables can tell. Those that wait for other tables are left to Spark's rule. */
  def byNativeTables(plan: SparkPlan): SparkPlan = {
    lazy val tables = plan.collect { case join: PlasmonJoinExec => join.broadcastTable }.flatten.map(_.canonicalized)
    if (!plan.conf.exchangeReuseEnabled) plan
    else plan.transformAllExpressionsWithPruning(_.containsAllPatterns(TreePattern.DYNAMIC_PRUNING_EXPRESSION, TreePattern.IN_SUBQUERY_EXEC)) {
      case pruning: DynamicPruningExpression =>
        pruning.mapChildren {
          case filter: InSubqueryExec => keysOf(filter.plan, tables).map(filter.withNewPlan).getOrElse(filter)
          case other => other
        }
    }
  }

  /** The sub-query of a filter over one of the native tables. */
  private def keysOf(filter: BaseSubqueryExec, tables: Seq[SparkPlan]): Option[BaseSubqueryExec] = filter match {
    case adaptive: SubqueryAdaptiveBroadcastExec =>
      adaptive.child match {
        case dimension: AdaptiveSparkPlanExec =>
          val rows = dimension.executedPlan
          exchangeOf(rows, tables).flatMap { exchange =>
            // Adaptive execution goes from the plan's logical form when it plans the rest of it.
            rows.logicalLink.foreach(exchange.setLogicalLink)
            distinct(adaptive.name, adaptive.indices.map(adaptive.buildKeys), dimension.copy(inputPlan = exchange, supportsColumnar = true))
          }
        case _ => None
      }
    case static: SubqueryBroadcastExec =>
      static.child match {
        case dimension: BroadcastExchangeExec =>
          exchangeOf(withoutTransitions(dimension.child), tables).flatMap(distinct(static.name, static.indices.map(static.buildKeys), _))
        case _ => None
      }
    case _ => None
  }

  /** The exchange of these rows, if it is that of one of the tables. */
  private def exchangeOf(rows: SparkPlan, tables: Seq[SparkPlan]): Option[SparkPlan] = {
    val input = Operators.native(rows)
    tables.collectFirst { case table: PlasmonBroadcastExchangeExec if table.child == input.canonicalized => table.copy(child = input) }
  }

  /** A sub-query of the different keys among the rows of an exchange. */
  private def distinct(name: String, keys: Seq[Expression], exchange: SparkPlan): Option[BaseSubqueryExec] =
    ExpressionConverter.convertAll(keys, exchange.output, Subqueries.StandIns).toOption.map { _ =>
      val columns = keys.map { case named: NamedExpression => named; case key => Alias(key, "key")() }
      SubqueryExec(name, ColumnarToRowExec(PlasmonBlockExec(PlasmonBroadcastKeysExec(columns, exchange))))
    }

  /** A plan that was made ready to run, without what turns its batches into rows. */
  private def withoutTransitions(plan: SparkPlan): SparkPlan = plan match {
    case transition @ (_: WholeStageCodegenExec | _: InputAdapter | _: ColumnarToRowExec) => withoutTransitions(transition.children.head)
    case other => other
  }
}
