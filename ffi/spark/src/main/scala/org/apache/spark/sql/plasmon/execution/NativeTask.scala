package org.apache.spark.sql.plasmon.execution

import scala.jdk.CollectionConverters._

import dev.plasmon.{FrameSource, PlasmonException, Session, Stream}
import dev.plasmon.spark.{ArrowSchemas, RowBatches}
import org.apache.spark.{SparkEnv, TaskContext}
import org.apache.spark.sql.catalyst.InternalRow
import org.apache.spark.sql.execution.datasources.FilePartition
import org.apache.spark.sql.plasmon.expression.Literals
import org.apache.spark.sql.plasmon.plan.PlasmonExec
import org.apache.spark.sql.plasmon.proto.{Message, PlanProto, Split}
import org.apache.spark.sql.plasmon.proto.{PlanNumbers => N}
import org.apache.spark.sql.types.StructType
import org.apache.spark.sql.vectorized.ColumnarBatch

/**
 * One task of a block: a native plan that runs on the task's thread, within the task's memory. Whatever it holds is given back when the task ends,
 * however it ends.
 */
final class NativeTask(
    program: BlockProgram,
    output: StructType,
    parents: Array[Iterator[_]],
    files: Array[FilePartition],
    metrics: BlockMetrics,
    context: TaskContext) {

  private val session = new Session()
  private val memory = new TaskMemory(context, session)
  private var stream: Option[Stream] = None
  /** Relations of the plan that stand above the block's. */
  private var above = 0
  program.builds.foreach(SharedBuilds.retain)
  context.addTaskCompletionListener[Unit](_ => close())

  session
    .set("driver", "inline")
    .set("spill_directories", SparkEnv.get.blockManager.diskBlockManager.localDirsString.mkString(","))
  session.setMemory(memory)

  /** The batches of the plan, for Spark. Whoever has a better end for the plan takes the task out of the iterator before it has begun. */
  def batches(): BatchIterator = new BatchIterator(this)

  /** The batches of the plan. */
  def run(): NativeBatches = start(Message.ofBytes(program.root), output)

  /** The batches of the plan with another top: `wrap` puts one relation over that of the block. */
  def run(wrap: Message => Message, output: StructType): NativeBatches = {
    above = 1
    start(wrap(Message.ofBytes(program.root)), output)
  }

  private def start(root: Message, output: StructType): NativeBatches = {
    require(stream.isEmpty, "a native task runs once")
    val plan = session.preparePlan(PlanProto.plan(root, program.inputs.toSeq.zipWithIndex.map((table _).tupled)).bytes)
    try {
      program.inputs.zipWithIndex.foreach { case (input, index) => bind(plan, input, NativeTask.name(index)) }
      val started = NativeTask.translated(plan.execute())
      stream = Some(started)
      new NativeBatches(started, output, context)
    } finally plan.close()
  }

  private def table(input: BlockInput, index: Int): Message = {
    val fields = NativeRelation.fields(input.schema)
    input match {
      case SplitsInput(scan, schema, dataColumns, caseSensitive) =>
        val partitionTypes = schema.fields.drop(dataColumns).map(_.dataType)
        val splits = files(scan).files.toSeq.map { file =>
          val values = partitionTypes.zipWithIndex.map { case (dataType, i) =>
            PlasmonExec.now(Literals.value(file.partitionValues.get(i, dataType), dataType))
          }
          Split(file.toPath.toUri.toString, file.start, file.length, values.toSeq)
        }
        PlanProto.splitsTable(splits, partitionTypes.length, caseSensitive, fields)
      case _ => PlanProto.namedTable(NativeTask.name(index), fields)
    }
  }

  private def bind(plan: dev.plasmon.Plan, input: BlockInput, name: String): Unit = {
    def fields = new Message().putAll(N.StructType.fields_, NativeRelation.fields(input.schema)).bytes
    input match {
      case _: SplitsInput =>
      case FramesInput(parent, _) => plan.bindFrames(name, fields, new FrameIterator(parents(parent).asInstanceOf[Iterator[Array[Byte]]]))
      case BroadcastInput(relation, _) => plan.bindFrames(name, fields, new FrameIterator(relation.value.frames.iterator))
      case BatchesInput(parent, schema) =>
        ArrowSchemas.bind(plan, name, schema, new BatchMover(parents(parent).asInstanceOf[Iterator[ColumnarBatch]]))
      case RowsInput(parent, schema, batchRows) =>
        val rows = parents(parent).asInstanceOf[Iterator[InternalRow]].asJava
        ArrowSchemas.bind(plan, name, schema, new RowBatches(rows, schema.fields.map(_.dataType), batchRows))
    }
  }

  /** Frees everything; what the operators did goes into Spark's metrics. */
  private def close(): Unit = {
    stream.foreach { s =>
      metrics.add(s.nodeMetrics(), above)
      context.taskMetrics().incPeakExecutionMemory(s.progress().bytesPeak())
      s.close()
    }
    session.close()
    program.builds.foreach(SharedBuilds.release)
    memory.close()
  }
}

object NativeTask {
  /** The name of the `index`-th input in a plan. */
  def name(index: Int): String = s"input$index"

  /** Runs a call of the library; what fails in it comes out as what Spark itself would have thrown. */
  def translated[T](call: => T): T =
    try call
    catch { case e: PlasmonException => throw SparkErrors.of(e) }
}

/** The batches of a native plan that runs on this task's thread. */
final class NativeBatches(val stream: Stream, output: StructType, context: TaskContext) {
  private val types = output.fields.map(_.dataType)

  /** The next batch; `None` at the end. Between any two steps of the engine it is looked whether the task was killed. */
  def next(): Option[ArrowBatch] = {
    while (true) {
      context.killTaskIfInterrupted()
      NativeTask.translated(stream.step()) match {
        case Stream.Step.BATCH => return Some(new ArrowBatch(stream.array(), types))
        case Stream.Step.DONE => return None
        case Stream.Step.MOVED | Stream.Step.BLOCKED =>
      }
    }
    None
  }

  /** Rows that the plan has given so far. */
  def rows: Long = stream.nodeMetrics()(1)

  /** The rest of the rows as frames, for other native tasks. */
  def frames(): Iterator[Array[Byte]] = Iterator.continually {
    context.killTaskIfInterrupted()
    NativeTask.translated(stream.nextFrames())
  }.takeWhile(_ != null)
}

/** Frames for the engine, as an iterator gives them. */
private final class FrameIterator(frames: Iterator[Array[Byte]]) extends FrameSource {
  override def next(): Array[Byte] = if (frames.hasNext) frames.next() else null
  override def close(): Unit = ()
}
