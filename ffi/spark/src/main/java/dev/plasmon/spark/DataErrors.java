package dev.plasmon.spark;

import java.time.DateTimeException;
import org.apache.spark.SparkThrowable;

/**
 * Values that cannot be computed, as the exceptions that Spark throws for them: with its error condition (SQLSTATE and the rest follow from that), and of the
 * Java class by which hosts and PySpark tell them apart.
 */
public final class DataErrors {
  private DataErrors() {}

  /** The exception for a condition, such as {@code CAST_INVALID_INPUT}, and Spark's whole message. */
  public static RuntimeException of(String condition, String message, Throwable cause) {
    RuntimeException failure = failure(condition, message);
    failure.initCause(cause);
    return failure;
  }

  private static RuntimeException failure(String condition, String message) {
    boolean isOfTime = message.contains("\"DATE\"") || message.contains("\"TIMESTAMP") || message.contains("\"TIME\"");
    if (condition.equals("CAST_INVALID_INPUT")) {
      return isOfTime ? new OfTime(condition, message) : new OfFormat(condition, message);
    }
    if (condition.startsWith("DATETIME") || condition.startsWith("CANNOT_PARSE_T")) {
      return new OfTime(condition, message);
    }
    if (condition.startsWith("INVALID_ARRAY_INDEX") || condition.startsWith("INVALID_INDEX")) {
      return new OfIndex(condition, message);
    }
    return new OfArithmetic(condition, message);
  }

  private static final class OfArithmetic extends ArithmeticException implements SparkThrowable {
    private final String condition;

    OfArithmetic(String condition, String message) {
      super(message);
      this.condition = condition;
    }

    @Override
    public String getCondition() {
      return condition;
    }
  }

  private static final class OfFormat extends NumberFormatException implements SparkThrowable {
    private final String condition;

    OfFormat(String condition, String message) {
      super(message);
      this.condition = condition;
    }

    @Override
    public String getCondition() {
      return condition;
    }
  }

  private static final class OfTime extends DateTimeException implements SparkThrowable {
    private final String condition;

    OfTime(String condition, String message) {
      super(message);
      this.condition = condition;
    }

    @Override
    public String getCondition() {
      return condition;
    }
  }

  private static final class OfIndex extends ArrayIndexOutOfBoundsException implements SparkThrowable {
    private final String condition;

    OfIndex(String condition, String message) {
      super(message);
      this.condition = condition;
    }

    @Override
    public String getCondition() {
      return condition;
    }
  }
}
