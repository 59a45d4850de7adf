package org.apache.spark.sql.plasmon.execution

import dev.plasmon.{Plan, PlasmonException, Session}

/** The engine's reader of plans, asked on the driver. */
object NativeReader {
  /** Why the engine refuses the plan of these bytes; `None` when it takes it. Nothing is run. */
  def refusal(plan: Array[Byte]): Option[String] = {
    val session = new Session()
    try {
      val prepared = session.set("driver", "inline").preparePlan(plan)
      // A plan is read when something is asked of it.
      try prepared.explain(Plan.ExplainFormat.TEXT)
      finally prepared.close()
      None
    } catch {
      case e: PlasmonException => Some(e.getMessage)
    } finally session.close()
  }
}
