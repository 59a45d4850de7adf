package org.apache.spark.sql.plasmon.exchange

import scala.concurrent.Future

import org.apache.spark.{MapOutputStatistics, Partitioner, ShuffleDependency}
import org.apache.spark.rdd.RDD
import org.apache.spark.sql.catalyst.InternalRow
import org.apache.spark.sql.catalyst.plans.logical.Statistics
import org.apache.spark.sql.catalyst.plans.physical.Partitioning
import org.apache.spark.sql.catalyst.types.DataTypeUtils
import org.apache.spark.sql.execution.{CoalescedPartitionSpec, ShufflePartitionSpec, SparkPlan, SQLExecution}
import org.apache.spark.sql.execution.exchange.{ShuffleExchangeLike, ShuffleOrigin}
import org.apache.spark.sql.execution.metric._
import org.apache.spark.sql.plasmon.execution.BlockRDD
import org.apache.spark.sql.plasmon.plan.NativeDriver
import org.apache.spark.sql.vectorized.ColumnarBatch

/** A shuffle that is written and read natively, through Spark's shuffle files. Rows go where Spark's own exchange would put them. */
case class PlasmonExchangeExec(
    override val outputPartitioning: Partitioning,
    child: SparkPlan,
    shuffleOrigin: ShuffleOrigin,
    advisoryPartitionSize: Option[Long])
    extends ShuffleExchangeLike
    with NativeDriver {

  override def nodeName: String = "PlasmonExchange"
  override def supportsColumnar: Boolean = true

  private lazy val writeMetrics = SQLShuffleWriteMetricsReporter.createShuffleWriteMetrics(sparkContext)
  private lazy val readMetrics = SQLShuffleReadMetricsReporter.createShuffleReadMetrics(sparkContext)
  override lazy val metrics: Map[String, SQLMetric] = Map(
    "dataSize" -> SQLMetrics.createSizeMetric(sparkContext, "data size"),
    "numPartitions" -> SQLMetrics.createMetric(sparkContext, "number of partitions")) ++ readMetrics ++ writeMetrics

  @transient private lazy val mapTasks: BlockRDD = tasks(child)

  @transient lazy val shuffleDependency: ShuffleDependency[Int, Array[Byte], Array[Byte]] = {
    metrics("numPartitions").set(numPartitions.toLong)
    val executionId = sparkContext.getLocalProperty(SQLExecution.EXECUTION_ID_KEY)
    SQLMetrics.postDriverMetricUpdates(sparkContext, executionId, Seq(metrics("numPartitions")))
    val partitioning = ShufflePartitioning.bytes(outputPartitioning, child, mapTasks)
    // The map tasks give no pairs: the writer takes the native task out of their iterator.
    new ShuffleDependency[Int, Array[Byte], Array[Byte]](
      mapTasks.asInstanceOf[RDD[Product2[Int, Array[Byte]]]],
      PartitionNumbers(numPartitions),
      new FrameSerializer,
      shuffleWriterProcessor = new ShuffleWriter(partitioning, writeMetrics + ("dataSize" -> metrics("dataSize"))))
  }

  @transient override lazy val mapOutputStatisticsFuture: Future[MapOutputStatistics] =
    if (mapTasks.getNumPartitions == 0) Future.successful(null) else sparkContext.submitMapStage(shuffleDependency)

  override def numMappers: Int = mapTasks.getNumPartitions
  override def numPartitions: Int = outputPartitioning.numPartitions
  override def shuffleId: Int = shuffleDependency.shuffleId

  override def runtimeStatistics: Statistics = Statistics(
    metrics("dataSize").value,
    Some(metrics(SQLShuffleWriteMetricsReporter.SHUFFLE_RECORDS_WRITTEN).value))

  override def getShuffleRDD(specs: Array[ShufflePartitionSpec]): RDD[_] = shuffled(specs)

  override protected def doExecuteColumnar(): RDD[ColumnarBatch] =
    shuffled(Array.tabulate(numPartitions)(i => CoalescedPartitionSpec(i, i + 1)))

  override protected def doExecute(): RDD[InternalRow] = throw new IllegalStateException(s"$nodeName gives batches only")

  private def shuffled(specs: Array[ShufflePartitionSpec]) = {
    val frames = new ShuffledFramesRDD(shuffleDependency, readMetrics, specs)
    new ShuffledBatchesRDD(frames, DataTypeUtils.fromAttributes(output), output)
  }

  override protected def withNewChildInternal(child: SparkPlan): PlasmonExchangeExec = copy(child = child)
}

/** The shuffle's keys are the partitions' numbers. */
private final case class PartitionNumbers(numPartitions: Int) extends Partitioner {
  override def getPartition(key: Any): Int = key.asInstanceOf[Int]
}
