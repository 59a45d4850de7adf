package dev.plasmon.spark

import org.apache.spark.sql.SparkSessionExtensions
import org.apache.spark.sql.catalyst.rules.Rule
import org.apache.spark.sql.execution.{ColumnarRule, SparkPlan}
import org.apache.spark.sql.plasmon.rule.{ConvertToNative, UnequalExists}

/**
 * Puts the conversion into both places where Spark looks for it: before adaptive execution cuts a plan into stages, and when a plan or stage gets its columnar
 * form. Before that, a rule of our own among the optimizer's.
 */
class PlasmonExtensions extends (SparkSessionExtensions => Unit) {
  override def apply(extensions: SparkSessionExtensions): Unit = {
    extensions.injectOptimizerRule(session => UnequalExists(session))
    extensions.injectQueryStagePrepRule(session => ConvertToNative(session))
    extensions.injectColumnar(session =>
      new ColumnarRule {
        override def preColumnarTransitions: Rule[SparkPlan] = ConvertToNative(session)
      })
  }
}
