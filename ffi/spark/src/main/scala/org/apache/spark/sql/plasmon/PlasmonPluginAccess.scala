package org.apache.spark.sql.plasmon

import org.apache.spark.SparkContext
import org.apache.spark.sql.internal.StaticSQLConf.SPARK_SESSION_EXTENSIONS

/** What the plugin needs of Spark that only Spark's own packages see. */
object PlasmonPluginAccess {
  /** Makes sessions that are created from now on load the extension, beside those that the user has named. */
  def addExtension(context: SparkContext, name: String): Unit = {
    val others = context.conf.get(SPARK_SESSION_EXTENSIONS).getOrElse(Nil)
    if (!others.contains(name)) {
      context.conf.set(SPARK_SESSION_EXTENSIONS.key, (others :+ name).mkString(","))
    }
  }
}
