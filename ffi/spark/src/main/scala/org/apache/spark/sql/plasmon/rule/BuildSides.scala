package org.apache.spark.sql.plasmon.rule

import org.apache.spark.sql.catalyst.optimizer.{BuildLeft, BuildRight, BuildSide}
import org.apache.spark.sql.execution.{BinaryExecNode, SparkPlan}
import org.apache.spark.sql.execution.adaptive.{AQEShuffleReadExec, QueryStageExec}

/** Which input of a join becomes the table, where Spark's plan does not say. */
private object BuildSides {
  /** The smaller one. All kinds of joins can build either. */
  def choose(join: BinaryExecNode): BuildSide =
    if (bytes(join.left) < bytes(join.right)) BuildLeft else BuildRight

  /** Bytes as a stage has measured them that is done, else as the optimizer estimates. */
  private def bytes(plan: SparkPlan): BigInt = plan match {
    case stage: QueryStageExec if stage.isMaterialized => stage.getRuntimeStatistics.sizeInBytes
    case read: AQEShuffleReadExec => bytes(read.child)
    case other => other.logicalLink.map(_.stats.sizeInBytes).getOrElse(other.children.map(bytes).sum)
  }
}
