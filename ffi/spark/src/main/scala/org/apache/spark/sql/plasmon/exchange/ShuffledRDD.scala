package org.apache.spark.sql.plasmon.exchange

import java.io.{DataInputStream, EOFException, InputStream, OutputStream}
import java.nio.ByteBuffer

import scala.reflect.ClassTag

import org.apache.spark._
import org.apache.spark.rdd.RDD
import org.apache.spark.serializer._
import org.apache.spark.shuffle.{BaseShuffleHandle, BlockStoreShuffleReader}
import org.apache.spark.sql.catalyst.expressions.Attribute
import org.apache.spark.sql.execution._
import org.apache.spark.sql.execution.metric.{SQLMetric, SQLShuffleReadMetricsReporter}
import org.apache.spark.sql.plasmon.execution.{BlockMetrics, BlockProgram, FramesInput, NativeRelation, NativeTask}
import org.apache.spark.sql.plasmon.proto.PlanProto
import org.apache.spark.sql.types.StructType
import org.apache.spark.sql.vectorized.ColumnarBatch

/** A partition of a shuffle as Spark's adaptive execution wants it: some reducers' blocks of some mappers. */
final case class ShuffledPartition(index: Int, spec: ShufflePartitionSpec) extends Partition

/**
 * The blocks of a native shuffle, fetched by Spark's own reader, as frames of the engine. Native code has compressed them already, so the reader gets a
 * serializer manager that leaves them alone (encryption of shuffle files stays as configured).
 */
final class ShuffledFramesRDD(
    var dependency: ShuffleDependency[Int, Array[Byte], Array[Byte]],
    readMetrics: Map[String, SQLMetric],
    specs: Array[ShufflePartitionSpec])
    extends RDD[Array[Byte]](dependency.rdd.context, Nil) {

  override def getDependencies: Seq[Dependency[_]] = List(dependency)

  override protected def getPartitions: Array[Partition] =
    specs.zipWithIndex.map { case (spec, index) => ShuffledPartition(index, spec): Partition }

  override protected def getPreferredLocations(split: Partition): Seq[String] = {
    val tracker = SparkEnv.get.mapOutputTracker.asInstanceOf[MapOutputTrackerMaster]
    split.asInstanceOf[ShuffledPartition].spec match {
      case spec: CoalescedPartitionSpec =>
        (spec.startReducerIndex until spec.endReducerIndex).flatMap(tracker.getPreferredLocationsForShuffle(dependency, _)).distinct
      case spec: PartialReducerPartitionSpec => tracker.getMapLocation(dependency, spec.startMapIndex, spec.endMapIndex)
      case spec: PartialMapperPartitionSpec => tracker.getMapLocation(dependency, spec.mapIndex, spec.mapIndex + 1)
      case spec: CoalescedMapperPartitionSpec => tracker.getMapLocation(dependency, spec.startMapIndex, spec.endMapIndex)
    }
  }

  override def compute(split: Partition, context: TaskContext): Iterator[Array[Byte]] = {
    val env = SparkEnv.get
    val reporter = new SQLShuffleReadMetricsReporter(context.taskMetrics().createTempShuffleReadMetrics(), readMetrics)
    val plain = env.conf.clone.set("spark.shuffle.compress", "false")
    val serializers = new SerializerManager(new JavaSerializer(env.conf), plain, env.securityManager.getIOEncryptionKey())
    val handle = dependency.shuffleHandle.asInstanceOf[BaseShuffleHandle[Int, Array[Byte], Array[Byte]]]
    new BlockStoreShuffleReader(handle, blocks(split, env.mapOutputTracker), context, reporter, serializers)
      .read()
      .map(_._2.asInstanceOf[Array[Byte]])
  }

  private def blocks(split: Partition, tracker: MapOutputTracker) = {
    val id = dependency.shuffleId
    split.asInstanceOf[ShuffledPartition].spec match {
      case s: CoalescedPartitionSpec => tracker.getMapSizesByExecutorId(id, 0, Int.MaxValue, s.startReducerIndex, s.endReducerIndex)
      case s: PartialReducerPartitionSpec =>
        tracker.getMapSizesByExecutorId(id, s.startMapIndex, s.endMapIndex, s.reducerIndex, s.reducerIndex + 1)
      case s: PartialMapperPartitionSpec =>
        tracker.getMapSizesByExecutorId(id, s.mapIndex, s.mapIndex + 1, s.startReducerIndex, s.endReducerIndex)
      case s: CoalescedMapperPartitionSpec => tracker.getMapSizesByExecutorId(id, s.startMapIndex, s.endMapIndex, 0, s.numReducers)
    }
  }

  override def clearDependencies(): Unit = {
    super.clearDependencies()
    dependency = null
  }
}

/** The same rows as batches, for what is not native. Native blocks take the frames. */
final class ShuffledBatchesRDD(val frames: ShuffledFramesRDD, schema: StructType, @transient private val output: Seq[Attribute])
    extends RDD[ColumnarBatch](frames) {

  private val program = {
    val root = NativeRelation.of(output, PlanProto.scan(0, output.indices))
    BlockProgram(root.message.bytes, Array(FramesInput(0, schema)), Array.empty)
  }

  override protected def getPartitions: Array[Partition] = frames.partitions

  override def compute(split: Partition, context: TaskContext): Iterator[ColumnarBatch] =
    new NativeTask(program, schema, Array(frames.iterator(split, context)), Array.empty, BlockMetrics.None, context).batches()
}

/** Cuts a block's bytes into frames; each is what one batch of the writer has left in the partition. */
final class FrameSerializer extends Serializer with Serializable {
  override def supportsRelocationOfSerializedObjects: Boolean = true

  override def newInstance(): SerializerInstance = new SerializerInstance {
    override def deserializeStream(stream: InputStream): DeserializationStream = new FrameStream(stream)
    override def serializeStream(stream: OutputStream): SerializationStream = throw FrameSerializer.writesNatively
    override def serialize[T: ClassTag](value: T): ByteBuffer = throw FrameSerializer.writesNatively
    override def deserialize[T: ClassTag](bytes: ByteBuffer): T = throw FrameSerializer.writesNatively
    override def deserialize[T: ClassTag](bytes: ByteBuffer, loader: ClassLoader): T = throw FrameSerializer.writesNatively
  }
}

private object FrameSerializer {
  def writesNatively = new UnsupportedOperationException("the blocks of a native shuffle are written by native code, and read as frames")
}

private final class FrameStream(stream: InputStream) extends DeserializationStream {
  /** A frame's length stands before it, little-endian, and stays with it. */
  private val LengthBytes = 4
  private val in = new DataInputStream(stream)

  override def asKeyValueIterator: Iterator[(Any, Any)] = new Iterator[(Any, Any)] {
    private var ahead = read()
    override def hasNext: Boolean = ahead != null
    override def next(): (Any, Any) = {
      val frame = ahead
      ahead = read()
      (0, frame)
    }
  }

  override def asIterator: Iterator[Any] = asKeyValueIterator.map(_._2)

  private def read(): Array[Byte] = {
    val first = in.read()
    if (first < 0) {
      null
    } else {
      val head = Array(first, in.readUnsignedByte(), in.readUnsignedByte(), in.readUnsignedByte())
      val length = head(0) | head(1) << 8 | head(2) << 16 | head(3) << 24
      if (length < 0) throw new EOFException(s"a shuffle block holds a frame of $length bytes")
      val frame = new Array[Byte](LengthBytes + length)
      head.indices.foreach(i => frame(i) = head(i).toByte)
      in.readFully(frame, LengthBytes, length)
      frame
    }
  }

  override def readObject[T: ClassTag](): T = throw FrameSerializer.writesNatively
  override def close(): Unit = in.close()
}
