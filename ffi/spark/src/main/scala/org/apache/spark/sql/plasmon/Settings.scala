package org.apache.spark.sql.plasmon

import org.apache.spark.sql.internal.SQLConf
import org.apache.spark.internal.config.ConfigEntry

/** The plugin's settings: session configuration, each read when a plan is made. */
object Settings {
  private val Prefix = "spark.plasmon."

  val Enabled: ConfigEntry[Boolean] = SQLConf.buildConf(Prefix + "enabled")
    .doc("Whether plans are put on the native engine. Off: Spark runs them as if the plugin were not there.")
    .version("0.1.0")
    .booleanConf
    .createWithDefault(true)

  val FallbackIsError: ConfigEntry[Boolean] = SQLConf.buildConf(Prefix + "fallback.error")
    .doc("Whether a query fails that has a node which is left to Spark, with the reasons in its message. For tests.")
    .version("0.1.0")
    .booleanConf
    .createWithDefault(false)

  val BatchRows: ConfigEntry[Int] = SQLConf.buildConf(Prefix + "batch.rows")
    .doc("Rows of the batches that come from Spark's rows. Larger ones cost memory, smaller ones a call each.")
    .version("0.1.0")
    .intConf
    .checkValue(rows => rows > 0 && rows <= 32768, "1 to 32768")
    .createWithDefault(8192)

  def isEnabled(conf: SQLConf): Boolean = conf.getConf(Enabled)
}
