package org.apache.spark.sql.plasmon.plan

import dev.plasmon.spark.BytecodeAccess
import org.apache.spark.rdd.RDD
import org.apache.spark.sql.catalyst.expressions.{Attribute, SortOrder}
import org.apache.spark.sql.catalyst.plans.physical.Partitioning
import org.apache.spark.sql.execution.{FileSourceScanExec, SparkPlan, UnaryExecNode}
import org.apache.spark.sql.execution.datasources.FileScanRDD
import org.apache.spark.sql.plasmon.execution.{BlockBuilder, NativeRelation}

/**
 * A scan of Parquet files: Spark lists and prunes files and cuts them into partitions, as its own scan (the child) does; reading them is native. The child
 * stays in the plan so that Spark's rules for dynamic pruning find it and its filters; it does not run.
 */
case class PlasmonScanExec(child: SparkPlan) extends UnaryExecNode with PlasmonExec {
  override def output: Seq[Attribute] = child.output
  override def outputPartitioning: Partitioning = child.outputPartitioning
  override def outputOrdering: Seq[SortOrder] = child.outputOrdering

  /** Spark's scan; it wraps one that gives rows only, when it cuts a plan into row and columnar parts. */
  private def scan: FileSourceScanExec = child.collectFirst { case scan: FileSourceScanExec => scan }.getOrElse {
    throw new IllegalStateException(s"$nodeName has no file scan below it")
  }

  override def awaitSubqueries(): Unit = {
    super.awaitSubqueries()
    BytecodeAccess.waitForSubqueries(scan)
  }

  override protected def build(block: BlockBuilder): NativeRelation = {
    val partitions = (scan.inputRDD: RDD[_]) match {
      case files: FileScanRDD => files.filePartitions
      case other => throw new IllegalStateException(s"a file scan of ${other.getClass.getName}, not of a FileScanRDD")
    }
    val dataColumns = scan.requiredSchema.length
    block.files(partitions, output, dataColumns, conf.caseSensitiveAnalysis)
  }

  override protected def withNewChildInternal(child: SparkPlan): PlasmonScanExec = copy(child = child)
}
