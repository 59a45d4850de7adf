package org.apache.spark.sql.plasmon.execution

import dev.plasmon.{ErrorCode, PlasmonException}
import org.apache.spark.{SparkException, TaskKilledException}
import org.apache.spark.sql.errors.QueryExecutionErrors

/** Failures of the engine as the exceptions that Spark's own operators throw. */
private[plasmon] object SparkErrors {
  def of(failure: PlasmonException): Throwable = failure.code() match {
    case ErrorCode.CANCELLED => new TaskKilledException("native work was cancelled")
    case ErrorCode.HOST if failure.getCause != null => failure.getCause
    case ErrorCode.DATA => caused(ofData(failure.getMessage), failure)
    case _ => new SparkException(failure.toString, failure)
  }

  private def caused(thrown: Throwable, failure: PlasmonException): Throwable = {
    if (thrown.getCause == null) thrown.initCause(failure)
    thrown
  }

  /** A value that cannot be computed, which queries in ANSI mode fail on. */
  private def ofData(message: String): Throwable = {
    val text = message.toLowerCase(java.util.Locale.ROOT)
    if (text.contains("division by zero") || text.contains("divide by zero") || text.contains("divide_by_zero")) {
      QueryExecutionErrors.divideByZeroError(null)
    } else {
      QueryExecutionErrors.arithmeticOverflowError(message)
    }
  }
}
