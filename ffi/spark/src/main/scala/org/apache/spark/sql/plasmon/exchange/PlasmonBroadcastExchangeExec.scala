package org.apache.spark.sql.plasmon.exchange

import java.util.concurrent.{Future => JavaFuture, TimeUnit}

import scala.concurrent.{Future, Promise}

import dev.plasmon.spark.BytecodeAccess
import org.apache.spark.broadcast.Broadcast
import org.apache.spark.rdd.RDD
import org.apache.spark.sql.catalyst.InternalRow
import org.apache.spark.sql.catalyst.plans.logical.Statistics
import org.apache.spark.sql.catalyst.plans.physical.{BroadcastMode, BroadcastPartitioning, Partitioning}
import org.apache.spark.sql.execution.{SparkPlan, SQLExecution}
import org.apache.spark.sql.execution.exchange.BroadcastExchangeLike
import org.apache.spark.sql.execution.metric.{SQLMetric, SQLMetrics}
import org.apache.spark.sql.plasmon.execution.BatchIterator
import org.apache.spark.sql.plasmon.plan.NativeDriver
import org.apache.spark.sql.vectorized.ColumnarBatch

/** The rows of a broadcast, as frames of the engine. */
final case class PlasmonRelation(frames: Array[Array[Byte]], rows: Long) {
  def bytes: Long = frames.iterator.map(_.length.toLong).sum
}

/** A broadcast whose rows are collected and read natively. */
case class PlasmonBroadcastExchangeExec(mode: BroadcastMode, child: SparkPlan) extends BroadcastExchangeLike with NativeDriver {
  override def nodeName: String = "PlasmonBroadcastExchange"
  override def supportsColumnar: Boolean = true
  override def outputPartitioning: Partitioning = BroadcastPartitioning(mode)

  override lazy val metrics: Map[String, SQLMetric] = Map(
    "dataSize" -> SQLMetrics.createSizeMetric(sparkContext, "data size"),
    "numOutputRows" -> SQLMetrics.createMetric(sparkContext, "number of output rows"),
    "collectTime" -> SQLMetrics.createTimingMetric(sparkContext, "time to collect"),
    "broadcastTime" -> SQLMetrics.createTimingMetric(sparkContext, "time to broadcast"))

  override def doCanonicalize(): SparkPlan = PlasmonBroadcastExchangeExec(mode.canonicalized, child.canonicalized)

  override def runtimeStatistics: Statistics = Statistics(metrics("dataSize").value, Some(metrics("numOutputRows").value))

  @transient private lazy val promise = Promise[Broadcast[Any]]()
  @transient override lazy val completionFuture: Future[Broadcast[Any]] = promise.future

  @transient override lazy val relationFuture: JavaFuture[Broadcast[Any]] = {
    val rows = tasks(child)
    SQLExecution.withThreadLocalCaptured[Broadcast[Any]](session, BytecodeAccess.broadcastThreads()) {
      try {
        sparkContext.addJobTag(jobTag)
        sparkContext.setInterruptOnCancel(true)
        val begin = System.nanoTime()
        val relation = PlasmonBroadcastExchangeExec.collected(rows)
        val collected = System.nanoTime()
        val broadcast = sparkContext.broadcastInternal(relation, serializedOnly = true).asInstanceOf[Broadcast[Any]]
        note("dataSize" -> relation.bytes, "numOutputRows" -> relation.rows, "collectTime" -> millis(begin, collected),
          "broadcastTime" -> millis(collected, System.nanoTime()))
        promise.trySuccess(broadcast)
        broadcast
      } catch {
        case e: Throwable =>
          promise.tryFailure(e)
          throw e
      }
    }
  }

  private def millis(begin: Long, end: Long) = TimeUnit.NANOSECONDS.toMillis(end - begin)

  private def note(values: (String, Long)*): Unit = {
    values.foreach { case (name, value) => metrics(name).set(value) }
    SQLMetrics.postDriverMetricUpdates(sparkContext, sparkContext.getLocalProperty(SQLExecution.EXECUTION_ID_KEY), metrics.values.toSeq)
  }

  // Materialised while other parts of the plan are prepared.
  override protected def doPrepare(): Unit = relationFuture

  override protected[sql] def doExecuteBroadcast[T](): Broadcast[T] =
    relationFuture.get(conf.broadcastTimeout, TimeUnit.SECONDS).asInstanceOf[Broadcast[T]]

  override protected def doExecute(): RDD[InternalRow] = throw new IllegalStateException(s"$nodeName is for broadcasts only")
  override protected def doExecuteColumnar(): RDD[ColumnarBatch] = throw new IllegalStateException(s"$nodeName is for broadcasts only")

  override protected def withNewChildInternal(child: SparkPlan): PlasmonBroadcastExchangeExec = copy(child = child)
}

object PlasmonBroadcastExchangeExec {
  /** All rows of the tasks, as frames, on the driver. */
  private def collected(rows: RDD[ColumnarBatch]): PlasmonRelation = {
    val parts = rows.mapPartitionsInternal {
      case batches: BatchIterator =>
        val written = batches.task.run()
        val frames = written.frames().toArray
        Iterator.single((frames, written.rows))
      case other => throw new IllegalStateException(s"a native broadcast was given ${other.getClass.getName} to collect")
    }.collect()
    PlasmonRelation(parts.flatMap(_._1), parts.map(_._2).sum)
  }
}
