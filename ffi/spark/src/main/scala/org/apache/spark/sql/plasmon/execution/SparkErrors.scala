package org.apache.spark.sql.plasmon.execution

import dev.plasmon.{ErrorCode, PlasmonException}
import dev.plasmon.spark.DataErrors
import org.apache.spark.{SparkException, TaskKilledException}

/** Failures of the engine as the exceptions that Spark's own operators throw. */
private[plasmon] object SparkErrors {
  /** A message of one of the engine's functions with Spark's semantics: Spark's condition, then Spark's sentences. */
  private val OfSpark = """(?s)\[([A-Z_]+(?:\.[A-Z_]+)*)\].*""".r

  /** What messages of the engine's own say of results that are too large. */
  private val Overflows = Seq("overflow", "does not fit", "out of range")

  def of(failure: PlasmonException): Throwable = failure.code() match {
    case ErrorCode.CANCELLED => new TaskKilledException("native work was cancelled")
    case ErrorCode.HOST if failure.getCause != null => failure.getCause
    case ErrorCode.DATA => ofData(failure)
    case _ => new SparkException(failure.toString, failure)
  }

  /** A value that cannot be computed, which queries in ANSI mode fail on. Arithmetic of the engine's own has messages of its own. */
  private def ofData(failure: PlasmonException): Throwable = failure.getMessage match {
    case message @ OfSpark(condition) => DataErrors.of(condition, message, failure)
    case message if message.startsWith("division by zero") =>
      DataErrors.of("DIVIDE_BY_ZERO", s"[DIVIDE_BY_ZERO] Division by zero: $message. Use `try_divide` to have null instead.", failure)
    case message if message.contains("decimal result") =>
      DataErrors.of("NUMERIC_VALUE_OUT_OF_RANGE.WITH_SUGGESTION", s"[NUMERIC_VALUE_OUT_OF_RANGE.WITH_SUGGESTION] $message", failure)
    case message if Overflows.exists(message.contains) => DataErrors.of("ARITHMETIC_OVERFLOW", s"[ARITHMETIC_OVERFLOW] $message", failure)
    case _ => new SparkException(failure.toString, failure)
  }
}
