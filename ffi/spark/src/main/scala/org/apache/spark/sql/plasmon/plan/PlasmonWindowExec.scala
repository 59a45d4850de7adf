package org.apache.spark.sql.plasmon.plan

import org.apache.spark.sql.catalyst.expressions.{Left => _, Right => _, _}
import org.apache.spark.sql.catalyst.plans.physical._
import org.apache.spark.sql.execution.{SparkPlan, UnaryExecNode}
import org.apache.spark.sql.plasmon.SparkShim
import org.apache.spark.sql.plasmon.execution.{BlockBuilder, NativeRelation}
import org.apache.spark.sql.plasmon.expression.{DataTypes, ExpressionConverter, Refusal, Subqueries, WindowConverter, WindowValue}
import org.apache.spark.sql.plasmon.proto.{ExpressionProto, Message, PlanProto}
import org.apache.spark.sql.plasmon.proto.PlanNumbers.{CompareOp, FrameUnits, NativeWindow}
import org.apache.spark.sql.types.IntegerType

/** Window functions over one partitioning and order. The input needs no order: the engine sorts. */
case class PlasmonWindowExec(
    windowExpression: Seq[NamedExpression],
    partitionSpec: Seq[Expression],
    orderSpec: Seq[SortOrder],
    child: SparkPlan)
    extends UnaryExecNode
    with PlasmonExec {
  override def output: Seq[Attribute] = child.output ++ windowExpression.map(_.toAttribute)
  override def outputPartitioning: Partitioning = child.outputPartitioning
  override def requiredChildDistribution: Seq[Distribution] = Seq(Windows.distribution(partitionSpec))

  /** The calls, with the input's columns before their values; then each function's result of its values. */
  override protected def build(block: BlockBuilder): NativeRelation = {
    val input = block.input(child)
    val parts = windowExpression.map(e => PlasmonExec.now(WindowConverter.convert(e, child.output)))
    val window = Windows.relation(input, child.output, partitionSpec, orderSpec, parts.flatMap(_.calls))
    val kept = convertedAll(child.output, child.output)
    val starts = parts.scanLeft(child.output.size)(_ + _.calls.size)
    val results = parts.zip(starts).map { case (part, start) =>
      PlasmonExec.now(part.result(part.calls.zipWithIndex.map { case (value, i) => ExpressionProto.column(start + i, value.dataType) }))
    }
    window.project(output, kept ++ results)
  }

  override protected def withNewChildInternal(child: SparkPlan): PlasmonWindowExec = copy(child = child)
}

/** The rows whose rank in their partition is at most `limit`. */
case class PlasmonWindowGroupLimitExec(
    partitionSpec: Seq[Expression],
    orderSpec: Seq[SortOrder],
    rankLikeFunction: Expression,
    limit: Int,
    isFinal: Boolean,
    child: SparkPlan)
    extends UnaryExecNode
    with PlasmonExec {
  override def output: Seq[Attribute] = child.output
  override def outputPartitioning: Partitioning = child.outputPartitioning
  override def requiredChildDistribution: Seq[Distribution] =
    Seq(if (isFinal) Windows.distribution(partitionSpec) else UnspecifiedDistribution)

  override protected def build(block: BlockBuilder): NativeRelation = {
    val rank = PlasmonExec.now(Windows.rank(rankLikeFunction))
    val ranked = Windows.relation(block.input(child), child.output, partitionSpec, orderSpec, Seq(rank))
    val isFirst = ExpressionProto.compare(
      CompareOp.LessEqual,
      ExpressionProto.column(child.output.size, rank.dataType),
      ExpressionProto.literal(ExpressionProto.int64(limit.toLong), rank.dataType))
    val fields = Windows.fields(child.output, Seq(rank))
    val first = NativeRelation(PlanProto.relation(fields, PlanProto.filter(ranked.message, isFirst)), Seq(ranked))
    first.project(output, convertedAll(child.output, child.output))
  }

  override protected def withNewChildInternal(child: SparkPlan): PlasmonWindowGroupLimitExec = copy(child = child)
}

/** What window operators have in common. */
private[plasmon] object Windows {
  def distribution(partitionSpec: Seq[Expression]): Distribution =
    if (partitionSpec.isEmpty) AllTuples else SparkShim.clustered(partitionSpec)

  /** The input's columns, then the values. */
  def fields(input: Seq[Attribute], values: Seq[WindowValue]): Seq[Message] =
    NativeRelation.fields(input) ++ values.zipWithIndex.map { case (value, i) => PlanProto.field(s"w$i", value.dataType, nullable = true) }

  def relation(
      input: NativeRelation,
      columns: Seq[Attribute],
      partitionSpec: Seq[Expression],
      orderSpec: Seq[SortOrder],
      values: Seq[WindowValue]): NativeRelation = {
    val partitionBy = PlasmonExec.now(ExpressionConverter.convertAll(partitionSpec, columns))
    val node = PlanProto.window(input.message, partitionBy, SortKeys.converted(orderSpec, columns), values.map(_.call))
    NativeRelation(PlanProto.relation(fields(columns, values), node), Seq(input))
  }

  /** The rank that a limit of groups looks at. */
  def rank(function: Expression): Either[Refusal, WindowValue] = {
    val native = function match {
      case _: Rank => Right(NativeWindow.Rank)
      case _: DenseRank => Right(NativeWindow.DenseRank)
      case _: RowNumber => Right(NativeWindow.RowNumber)
      case other => Left(Refusal(other.prettyName, Refusal.Window, "a limit by another function than a rank"))
    }
    val kind = DataTypes.known(IntegerType)
    val frame = PlanProto.frame(FrameUnits.Rows, PlanProto.unboundedPreceding, PlanProto.currentRow)
    native.map(n => WindowValue(PlanProto.windowCall(Left(n), Nil, frame, kind), kind))
  }

  /** Checks partitioning and order. */
  def refusal(partitionSpec: Seq[Expression], orderSpec: Seq[SortOrder], input: Seq[Attribute]): Option[Refusal] =
    ExpressionConverter.convertAll(partitionSpec, input, Subqueries.StandIns).left.toOption
      .orElse(SortKeys.convert(orderSpec, input, Subqueries.StandIns).left.toOption)
}
