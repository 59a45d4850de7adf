package org.apache.spark.sql.plasmon.exchange

import org.apache.spark.{ShuffleDependency, SparkEnv, TaskContext}
import org.apache.spark.scheduler.MapStatus
import org.apache.spark.shuffle.{ShuffleWriteMetricsReporter, ShuffleWriteProcessor}
import org.apache.spark.sql.execution.metric.{SQLMetric, SQLShuffleWriteMetricsReporter}
import org.apache.spark.sql.plasmon.SparkShim
import org.apache.spark.sql.plasmon.execution.{BatchIterator, NativeTask}
import org.apache.spark.sql.plasmon.proto.{Message, PlanProto, TypeProto}
import org.apache.spark.sql.plasmon.proto.{PlanNumbers => N}
import org.apache.spark.sql.types._

/**
 * Writes the map side of a native shuffle: the native plan itself ends in the partitioned file, and Spark's own resolver commits it. So a shuffle needs no
 * shuffle manager of ours, and the files are what the external shuffle service serves. `partitioning` is the bytes of a `ShuffleWrite` without input and path.
 */
final class ShuffleWriter(partitioning: Array[Byte], metrics: Map[String, SQLMetric]) extends ShuffleWriteProcessor {
  override def createMetricsReporter(context: TaskContext): ShuffleWriteMetricsReporter =
    new SQLShuffleWriteMetricsReporter(context.taskMetrics().shuffleWriteMetrics, metrics)

  override def write(
      inputs: Iterator[_],
      dependency: ShuffleDependency[_, _, _],
      mapId: Long,
      mapIndex: Int,
      context: TaskContext): MapStatus = {
    val task = inputs match {
      case batches: BatchIterator => batches.task
      case other => throw new IllegalStateException(s"a native shuffle was given ${other.getClass.getName} to write")
    }
    val env = SparkEnv.get
    val reporter = createMetricsReporter(context)
    // Spark's sort shuffle learns from a writer which map tasks there were, and removes their files by that.
    env.shuffleManager.getWriter[Any, Any](dependency.shuffleHandle, mapId, context, reporter).stop(success = false)
    val resolver = SparkShim.blockResolver(env)
    val file = resolver.createTempFile(resolver.getDataFile(dependency.shuffleId, mapId))
    val begin = System.nanoTime()
    val lengths = new Array[Long](dependency.partitioner.numPartitions)
    try {
      val rows = fill(task, file.getPath, lengths)
      reporter.incBytesWritten(lengths.sum)
      reporter.incRecordsWritten(rows)
      reporter.incWriteTime(System.nanoTime() - begin)
      metrics("dataSize").add(lengths.sum)
      resolver.writeMetadataFileAndCommit(dependency.shuffleId, mapId, lengths, Array.empty, file)
    } finally if (file.exists()) file.delete()
    SparkShim.mapStatus(env.blockManager.shuffleServerId, lengths, mapId)
  }

  /** Runs the task to its end, tells the bytes of each partition in `lengths`, and gives the number of rows. */
  private def fill(task: NativeTask, path: String, lengths: Array[Long]): Long = {
    val written = task.run(input => ShuffleWriter.relation(partitioning, input, path), ShuffleWriter.Written)
    var rows = 0L
    Iterator.continually(written.next()).takeWhile(_.isDefined).flatten.foreach { batch =>
      (0 until batch.numRows()).foreach { row =>
        lengths(batch.column(0).getInt(row)) = batch.column(1).getLong(row)
        rows += batch.column(2).getLong(row)
      }
    }
    rows
  }
}

private object ShuffleWriter {
  /** What the node gives: a row for each partition that got rows. */
  val Written: StructType = StructType(Seq(
    StructField("partition", IntegerType, nullable = false),
    StructField("bytes", LongType, nullable = false),
    StructField("rows", LongType, nullable = false)))

  private val fields = Written.fields.toSeq.map { field =>
    val kind = if (field.dataType == IntegerType) N.SimpleType.Int32 else N.SimpleType.Int64
    PlanProto.field(field.name, TypeProto.simple(kind), nullable = false)
  }

  def relation(partitioning: Array[Byte], input: Message, path: String): Message = {
    val write = Message.ofBytes(partitioning).put(N.ShuffleWrite.input, input).put(N.ShuffleWrite.path, path)
    new Message().putAll(N.Relation.fields_, fields).put(N.Relation.shuffleWrite, write)
  }
}
