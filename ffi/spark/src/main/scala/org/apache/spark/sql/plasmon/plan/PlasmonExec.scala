package org.apache.spark.sql.plasmon.plan

import org.apache.spark.rdd.RDD
import org.apache.spark.sql.catalyst.InternalRow
import org.apache.spark.sql.catalyst.expressions.{Attribute, Expression}
import org.apache.spark.sql.execution.SparkPlan
import org.apache.spark.sql.execution.metric.{SQLMetric, SQLMetrics}
import org.apache.spark.sql.plasmon.execution.{BlockBuilder, NativeRelation, OperatorMetrics}
import org.apache.spark.sql.plasmon.expression.{ExpressionConverter, Refusal}
import org.apache.spark.sql.plasmon.proto.{Message, Node}
import org.apache.spark.sql.vectorized.ColumnarBatch

/**
 * A Spark operator that the native engine runs. It stands for one node in the plan, with its own children and expressions, so that Spark's rules see what
 * they know; but it never runs by itself: a block of them, below one [[NativeDriver]], becomes one native plan.
 */
trait PlasmonExec extends SparkPlan {
  override def nodeName: String = getClass.getSimpleName.stripSuffix("Exec")
  override def supportsColumnar: Boolean = true

  /** This operator and what is below it as a relation of `plan.proto`. Sub-queries have their values by now. */
  final def relation(block: BlockBuilder): NativeRelation =
    build(block).copy(metrics = Some(OperatorMetrics(metrics("numOutputRows"), metrics("time"), metrics("spilled"))))

  /** The relation of this operator over those of its children. */
  protected def build(block: BlockBuilder): NativeRelation

  /** Waits for the sub-queries of this operator and of those below it in its block, which Spark itself does only for what it executes. */
  def awaitSubqueries(): Unit = {
    waitForSubqueries()
    children.foreach {
      case native: PlasmonExec => native.awaitSubqueries()
      case _ =>
    }
  }

  override lazy val metrics: Map[String, SQLMetric] = Map(
    "numOutputRows" -> SQLMetrics.createMetric(sparkContext, "number of output rows"),
    "time" -> SQLMetrics.createNanoTimingMetric(sparkContext, "native time"),
    "spilled" -> SQLMetrics.createSizeMetric(sparkContext, "spill size"))

  override protected def doExecute(): RDD[InternalRow] = throw notAlone
  override protected def doExecuteColumnar(): RDD[ColumnarBatch] = throw notAlone

  private def notAlone = new IllegalStateException(s"$nodeName runs inside of a native block only")

  // ------------------------------------------------------------- helpers of the operators

  /** A relation that gives this operator's output. */
  protected def give(node: Node, inputs: NativeRelation*): NativeRelation = NativeRelation.of(output, node, inputs: _*)

  protected def converted(e: Expression, input: Seq[Attribute]): Message = PlasmonExec.now(ExpressionConverter.convert(e, input))

  protected def convertedAll(all: Seq[Expression], input: Seq[Attribute]): Seq[Message] =
    PlasmonExec.now(ExpressionConverter.convertAll(all, input))
}

object PlasmonExec {
  /** What was converted for a plan, converted again with the values of its sub-queries. */
  def now[A](result: Either[Refusal, A]): A =
    result.fold(refusal => throw new IllegalStateException(s"what was native when the plan was made is not any more: $refusal"), identity)
}
