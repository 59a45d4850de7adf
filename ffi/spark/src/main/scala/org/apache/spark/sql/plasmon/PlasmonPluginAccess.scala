package org.apache.spark.sql.plasmon

import org.apache.spark.SparkContext
import org.apache.spark.scheduler.SparkListenerEvent
import org.apache.spark.sql.execution.SparkPlan
import org.apache.spark.sql.internal.StaticSQLConf.{QUERY_EXECUTION_LISTENERS, SPARK_SESSION_EXTENSIONS}
import org.apache.spark.sql.plasmon.plan.PlasmonExec
import org.apache.spark.sql.plasmon.rule.Fallback

/** What the plugin needs of Spark that only Spark's own packages see. */
object PlasmonPluginAccess {
  /** Makes sessions that are created from now on load the extension and the listener, beside those that the user has named. */
  def register(context: SparkContext, extension: String, listener: String): Unit = {
    add(context, SPARK_SESSION_EXTENSIONS.key, extension)
    add(context, QUERY_EXECUTION_LISTENERS.key, listener)
  }

  private def add(context: SparkContext, key: String, name: String): Unit = {
    val others = context.conf.get(key, "").split(',').map(_.trim).filter(_.nonEmpty)
    if (!others.contains(name)) context.conf.set(key, (others :+ name).mkString(","))
  }

  def post(context: SparkContext, event: SparkListenerEvent): Unit = context.listenerBus.post(event)

  /** Operators of a plan that are native, stages and sub-queries included. */
  def nativeOperators(plan: SparkPlan): Int = Fallback.nodes(plan).count(_.isInstanceOf[PlasmonExec])
}
