package org.apache.spark.sql.plasmon.execution

import dev.plasmon.{Plan, PlasmonException, Session, Stream}

/** The engine, asked about plans on the driver. */
object NativeReader {
  /** Why the engine refuses the plan of these bytes; `None` when it takes it. Nothing is run. */
  def refusal(plan: Array[Byte]): Option[String] =
    // A plan is read when something is asked of it.
    asked(plan)(_.explain(Plan.ExplainFormat.TEXT))

  /** Why a plan that reads no tables fails; `None` when it runs. */
  def failure(plan: Array[Byte]): Option[String] = asked(plan) { prepared =>
    val stream = prepared.execute()
    try while (stream.step() != Stream.Step.DONE) {}
    finally stream.close()
  }

  private def asked(plan: Array[Byte])(ask: Plan => Unit): Option[String] = {
    val session = new Session()
    try {
      val prepared = session.set("driver", "inline").preparePlan(plan)
      try ask(prepared)
      finally prepared.close()
      None
    } catch {
      case e: PlasmonException => Some(e.getMessage)
    } finally session.close()
  }
}
