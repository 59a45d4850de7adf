package org.apache.spark.sql.plasmon.plan

import org.apache.spark.rdd.RDD
import org.apache.spark.sql.catalyst.InternalRow
import org.apache.spark.sql.catalyst.expressions.{Attribute, SortOrder}
import org.apache.spark.sql.catalyst.plans.physical.Partitioning
import org.apache.spark.sql.execution.{SparkPlan, UnaryExecNode}
import org.apache.spark.sql.plasmon.execution.{BlockBuilder, BlockRDD}
import org.apache.spark.sql.vectorized.ColumnarBatch

/** What makes native operators below it run: they become one native plan, of which each task runs a part. */
trait NativeDriver extends SparkPlan {
  /** The tasks that run `plan`, a native operator or anything that has rows. */
  protected def tasks(plan: SparkPlan): BlockRDD = {
    plan match {
      case native: PlasmonExec => native.awaitSubqueries()
      case _ =>
    }
    val block = new BlockBuilder
    block.tasks(sparkContext, block.input(plan), plan)
  }
}

/** A block of native operators whose rows go to Spark. */
case class PlasmonBlockExec(child: SparkPlan) extends UnaryExecNode with NativeDriver {
  override def nodeName: String = "PlasmonBlock"
  override def output: Seq[Attribute] = child.output
  override def outputPartitioning: Partitioning = child.outputPartitioning
  override def outputOrdering: Seq[SortOrder] = child.outputOrdering
  override def supportsColumnar: Boolean = true
  // The same rows as without the driver: exchanges of either are reused for each other.
  override protected def doCanonicalize(): SparkPlan = child.canonicalized
  override protected def doExecuteColumnar(): RDD[ColumnarBatch] = tasks(child)
  override protected def doExecute(): RDD[InternalRow] = throw new IllegalStateException(s"$nodeName gives batches only")
  override protected def withNewChildInternal(child: SparkPlan): PlasmonBlockExec = copy(child = child)
}
