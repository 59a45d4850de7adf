package dev.plasmon.spark;

import java.util.concurrent.ExecutorService;
import org.apache.spark.sql.execution.SparkPlan;
import org.apache.spark.sql.execution.exchange.BroadcastExchangeExec$;

/** Methods of Spark that Scala keeps to subclasses, and that are public to Java. */
public final class BytecodeAccess {
  private BytecodeAccess() {}

  /** Waits for the sub-queries in the expressions of {@code plan} itself, once it is prepared, and hands them their values. */
  public static void waitForSubqueries(SparkPlan plan) {
    plan.waitForSubqueries();
  }

  /** The threads on which Spark collects what it broadcasts. */
  public static ExecutorService broadcastThreads() {
    return BroadcastExchangeExec$.MODULE$.executionContext();
  }
}
