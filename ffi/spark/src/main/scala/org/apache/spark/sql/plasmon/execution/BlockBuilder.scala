package org.apache.spark.sql.plasmon.execution

import scala.collection.mutable.ArrayBuffer

import org.apache.spark.SparkContext
import org.apache.spark.broadcast.Broadcast
import org.apache.spark.rdd.RDD
import org.apache.spark.sql.catalyst.expressions.Attribute
import org.apache.spark.sql.catalyst.types.DataTypeUtils
import org.apache.spark.sql.execution.{RowToColumnarExec, SparkPlan}
import org.apache.spark.sql.execution.datasources.FilePartition
import org.apache.spark.sql.plasmon.Settings
import org.apache.spark.sql.plasmon.exchange.{PlasmonRelation, ShuffledBatchesRDD}
import org.apache.spark.sql.plasmon.plan.PlasmonExec
import org.apache.spark.sql.plasmon.proto.PlanProto
import org.apache.spark.sql.types.StructType

/** Where a table of a native plan comes from, as a task sees it. */
sealed trait BlockInput extends Serializable {
  /** The columns, types included. */
  def schema: StructType
}

/** Parts of Parquet files: those of the task's partition, of the `index`-th scan of the block. Columns behind the first `dataColumns` are told by the parts. */
final case class SplitsInput(index: Int, schema: StructType, dataColumns: Int, caseSensitive: Boolean) extends BlockInput

/** Frames that other native tasks have written: what the `index`-th parent RDD gives. */
final case class FramesInput(index: Int, schema: StructType) extends BlockInput

/** Native batches of the `index`-th parent RDD. */
final case class BatchesInput(index: Int, schema: StructType) extends BlockInput

/** Spark's rows of the `index`-th parent RDD. */
final case class RowsInput(index: Int, schema: StructType, batchRows: Int) extends BlockInput

/** Rows that every task reads as a whole. */
final case class BroadcastInput(relation: Broadcast[PlasmonRelation], schema: StructType) extends BlockInput

/** A native plan but for what differs from task to task. `root` is the bytes of a relation, `builds` the names of the shared tables in it. */
final case class BlockProgram(root: Array[Byte], inputs: Array[BlockInput], builds: Array[String])

/** Collects what a block of native operators reads, while they say what they are. */
final class BlockBuilder {
  private val inputs = ArrayBuffer.empty[BlockInput]
  private val parents = ArrayBuffer.empty[RDD[_]]
  private val scans = ArrayBuffer.empty[Seq[FilePartition]]
  private val builds = ArrayBuffer.empty[String]

  /** A relation of the rows of a plan, be it a native operator, an exchange, another block, or Spark's own. */
  def input(child: SparkPlan): NativeRelation = child match {
    case native: PlasmonExec => native.relation(this)
    case rows: RowToColumnarExec => ofRows(rows.child)
    case columnar if columnar.supportsColumnar =>
      columnar.executeColumnar() match {
        case shuffled: ShuffledBatchesRDD => ofParent(shuffled.frames, columnar)(FramesInput(_, schema(columnar)))
        case batches => ofParent(batches, columnar)(BatchesInput(_, schema(columnar)))
      }
    case rows => ofRows(rows)
  }

  private def ofRows(child: SparkPlan): NativeRelation =
    ofParent(child.execute(), child)(RowsInput(_, schema(child), child.conf.getConf(Settings.BatchRows)))

  private def ofParent(parent: RDD[_], plan: SparkPlan)(input: Int => BlockInput): NativeRelation = {
    parents += parent
    scan(input(parents.size - 1), plan.output)
  }

  /** A relation of the rows of a broadcast exchange, which every task gets all of, and what tells the broadcast from others. */
  def broadcast(exchange: SparkPlan): (NativeRelation, String) = {
    val rows = exchange.executeBroadcast[PlasmonRelation]()
    val name = s"${exchange.session.sparkContext.applicationId}/${rows.id}"
    (scan(BroadcastInput(rows, schema(exchange)), exchange.output), name)
  }

  /** A table of that name is shared by the tasks of an executor. */
  def shareBuild(name: String): Unit = builds += name

  /** A relation of the rows in parts of files. The columns behind the first `dataColumns` are told by the parts. */
  def files(partitions: Seq[FilePartition], output: Seq[Attribute], dataColumns: Int, caseSensitive: Boolean): NativeRelation = {
    scans += partitions
    scan(SplitsInput(scans.size - 1, DataTypeUtils.fromAttributes(output), dataColumns, caseSensitive), output)
  }

  /** The block has rows that each task would give: it is to be one task, whatever else it reads. */
  def runOnce(): Unit = scans += Seq(FilePartition(0, Array.empty))

  private def schema(plan: SparkPlan) = DataTypeUtils.fromAttributes(plan.output)

  private def scan(input: BlockInput, output: Seq[Attribute]): NativeRelation = {
    inputs += input
    NativeRelation.of(output, PlanProto.scan(inputs.size - 1, output.indices))
  }

  /** The tasks of a block: `root` is the relation of `plan`. */
  def tasks(context: SparkContext, root: NativeRelation, plan: SparkPlan): BlockRDD = {
    val program = BlockProgram(root.message.bytes, inputs.toArray, builds.toArray)
    new BlockRDD(context, program, schema(plan), parents.toSeq, scans.map(_.toArray).toArray, BlockMetrics(root.inPreOrder.toArray))
  }
}
