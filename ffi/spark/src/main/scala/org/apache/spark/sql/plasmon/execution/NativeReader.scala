package org.apache.spark.sql.plasmon.execution

import dev.plasmon.{PlasmonException, Session}

/** The engine's reader of plans, asked on the driver. */
object NativeReader {
  /** Why the engine refuses the plan of these bytes; `None` when it takes it. Nothing is run. */
  def refusal(plan: Array[Byte]): Option[String] = {
    val session = new Session()
    try {
      session.set("driver", "inline").preparePlan(plan).close()
      None
    } catch {
      case e: PlasmonException => Some(e.getMessage)
    } finally session.close()
  }
}
