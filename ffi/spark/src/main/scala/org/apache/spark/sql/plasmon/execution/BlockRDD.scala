package org.apache.spark.sql.plasmon.execution

import org.apache.spark.{OneToOneDependency, Partition, SparkContext, TaskContext}
import org.apache.spark.rdd.RDD
import org.apache.spark.sql.execution.datasources.FilePartition
import org.apache.spark.sql.types.StructType
import org.apache.spark.sql.vectorized.ColumnarBatch

/** What one task of a block reads: a partition of every parent, and a part of the files of every scan. */
final case class BlockPartition(index: Int, parents: Array[Partition], files: Array[FilePartition]) extends Partition

/**
 * The tasks of a block: partition `i` reads partition `i` of every parent and of every scan, which all have as many.
 * A block without any (constants) is one task.
 */
final class BlockRDD(
    context: SparkContext,
    program: BlockProgram,
    output: StructType,
    var parents: Seq[RDD[_]],
    @transient private val scans: Array[Array[FilePartition]],
    metrics: BlockMetrics)
    extends RDD[ColumnarBatch](context, parents.map(new OneToOneDependency(_))) {

  override protected def getPartitions: Array[Partition] = {
    val counts = (parents.map(_.getNumPartitions) ++ scans.map(_.length)).distinct
    require(counts.size <= 1, s"the inputs of a native block have different numbers of partitions: ${counts.mkString(", ")}")
    Array.tabulate(counts.headOption.getOrElse(1)) { i =>
      BlockPartition(i, parents.map(_.partitions(i)).toArray, scans.map(_(i)))
    }
  }

  override protected def getPreferredLocations(split: Partition): Seq[String] = {
    val partition = split.asInstanceOf[BlockPartition]
    val ofParents = parents.zip(partition.parents).flatMap { case (parent, p) => sparkContext.getPreferredLocs(parent, p.index).map(_.host) }
    if (ofParents.nonEmpty) ofParents.distinct else partition.files.flatMap(_.preferredLocations()).distinct.toSeq
  }

  override def compute(split: Partition, context: TaskContext): Iterator[ColumnarBatch] = {
    val partition = split.asInstanceOf[BlockPartition]
    val iterators = parents.zip(partition.parents).map { case (parent, p) => parent.iterator(p, context) }
    new NativeTask(program, output, iterators.toArray, partition.files, metrics, context).batches()
  }

  override def clearDependencies(): Unit = {
    super.clearDependencies()
    parents = Nil
  }
}

/** The batches of a task that ends in Spark. One is valid until the next one is asked for. The task begins to run when the first is. */
private[plasmon] final class BatchIterator(val task: NativeTask) extends Iterator[ColumnarBatch] {
  private lazy val batches = task.run()
  private var ahead: Option[ColumnarBatch] = None
  private var isDone = false

  override def hasNext: Boolean = {
    if (ahead.isEmpty && !isDone) {
      ahead = batches.next()
      isDone = ahead.isEmpty
    }
    ahead.isDefined
  }

  override def next(): ColumnarBatch = {
    if (!hasNext) throw new NoSuchElementException("a native block is at its end")
    val batch = ahead.get
    ahead = None
    batch
  }
}
