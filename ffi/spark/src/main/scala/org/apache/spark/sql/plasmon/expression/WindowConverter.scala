package org.apache.spark.sql.plasmon.expression

import org.apache.spark.sql.catalyst.expressions.{Left => _, Right => _, _}
import org.apache.spark.sql.catalyst.expressions.aggregate.{AggregateExpression, First, Last}
import org.apache.spark.sql.plasmon.proto.{EnumValue, ExpressionProto, Message, PlanProto}
import org.apache.spark.sql.plasmon.proto.PlanNumbers.{FrameUnits, NativeWindow}

/**
 * A window function of Spark in the engine's terms: values that the engine computes for each row (calls, with their types), and the result made of them, which
 * are given as columns.
 */
final case class WindowParts(calls: Seq[WindowValue], result: Seq[Message] => Either[Refusal, Message])

/** One call of the engine, and the type of its value. */
final case class WindowValue(call: Message, dataType: Message)

/** Window functions of Spark → calls of `plan.proto`. */
object WindowConverter {
  /** The function of a window expression, perhaps under an alias, over rows of `input`. */
  def convert(expression: Expression, input: Seq[Attribute], subqueries: Subqueries = Subqueries.Values): Either[Refusal, WindowParts] = {
    val converter = new Converter(input, subqueries)
    expression match {
      case alias: Alias => convert(alias.child, input, subqueries)
      case window: WindowExpression => frame(window.windowSpec.frameSpecification).flatMap(function(window.windowFunction, _, converter))
      case other => refuse(other, "a window operator with an expression over a window function")
    }
  }

  private def function(function: Expression, frame: Message, converter: Converter): Either[Refusal, WindowParts] = function match {
    case _: RowNumber => ranking(function, NativeWindow.RowNumber, frame)
    case _: Rank => ranking(function, NativeWindow.Rank, frame)
    case _: DenseRank => ranking(function, NativeWindow.DenseRank, frame)
    case _: PercentRank => ranking(function, NativeWindow.PercentRank, frame)
    case _: CumeDist => ranking(function, NativeWindow.CumulativeDistribution, frame)
    case ntile: NTile => value(function, NativeWindow.Ntile, Seq(ntile.buckets), frame, ignoreNulls = false, converter)
    case lead: Lead => offset(lead, NativeWindow.Lead, frame, converter)
    case lag: Lag => offset(lag, NativeWindow.Lag, frame, converter)
    case nth: NthValue => value(nth, NativeWindow.NthValue, Seq(nth.input, nth.offset), frame, nth.ignoreNulls, converter)
    case aggregate: AggregateExpression => this.aggregate(aggregate, frame, converter)
    case other => refuse(other, "no native form of this window function")
  }

  private def ranking(function: Expression, native: EnumValue, frame: Message): Either[Refusal, WindowParts] =
    DataTypes.toProto(function.dataType).map(one(native, Nil, frame, ignoreNulls = false, _))

  /** `lag` has its distance negated in Spark's expression. */
  private def offset(function: FrameLessOffsetWindowFunction, native: EnumValue, frame: Message, converter: Converter) =
    function.offset.eval() match {
      case distance: Int =>
        val ahead = if (native == NativeWindow.Lag) -distance else distance
        val arguments = Seq(function.input, Literal(ahead.toLong)) ++ (if (isNull(function.default)) None else Some(function.default))
        value(function, native, arguments, frame, function.ignoreNulls, converter)
      case _ => refuse(function, "a distance that is no constant")
    }

  private def isNull(e: Expression) = e match {
    case literal: Literal => literal.value == null
    case _ => false
  }

  private def value(
      function: Expression,
      native: EnumValue,
      arguments: Seq[Expression],
      frame: Message,
      ignoreNulls: Boolean,
      converter: Converter): Either[Refusal, WindowParts] =
    for {
      values <- converter.all(arguments)
      kind <- DataTypes.toProto(function.dataType)
    } yield one(native, values, frame, ignoreNulls, kind)

  private def one(native: EnumValue, arguments: Seq[Message], frame: Message, ignoreNulls: Boolean, kind: Message) = {
    val call = PlanProto.windowCall(Left(native), arguments, frame, kind, ignoreNulls = ignoreNulls)
    WindowParts(Seq(WindowValue(call, kind)), columns => Right(columns.head))
  }

  private def aggregate(aggregate: AggregateExpression, frame: Message, converter: Converter): Either[Refusal, WindowParts] =
    (aggregate.aggregateFunction, aggregate.filter) match {
      case _ if aggregate.isDistinct => refuse(aggregate, "DISTINCT over a window")
      case (first: First, None) => value(first, NativeWindow.FirstValue, Seq(first.child), frame, first.ignoreNulls, converter)
      case (last: Last, None) => value(last, NativeWindow.LastValue, Seq(last.child), frame, last.ignoreNulls, converter)
      case (_: First | _: Last, _) => refuse(aggregate, "FILTER with first or last over a window")
      case (function, filter) =>
        for {
          parts <- AggregateForms.parts(function)
          step <- parts.update(converter)
          rows <- converter.all(filter.toSeq)
        } yield WindowParts(
          step.raw.map(raw => WindowValue(call(raw, rows.headOption, frame), raw.dataType)),
          columns => parts.evaluate(step.buffer(columns)))
    }

  private def call(raw: Raw, rows: Option[Message], frame: Message): Message = {
    val conditions = (rows ++ raw.filter).toSeq
    val condition = if (conditions.size > 1) Some(ExpressionProto.and(conditions)) else conditions.headOption
    PlanProto.windowCall(Right(PlanProto.nativeFunction(raw.function, raw.ignoreNulls)), raw.arguments, frame, raw.dataType, condition)
  }

  private def frame(frame: WindowFrame): Either[Refusal, Message] = frame match {
    case specified: SpecifiedWindowFrame =>
      for {
        start <- bound(specified.frameType, specified.lower)
        end <- bound(specified.frameType, specified.upper)
      } yield PlanProto.frame(if (specified.frameType == RowFrame) FrameUnits.Rows else FrameUnits.Range, start, end)
    case other => Left(Refusal(other.toString, Refusal.Argument, "a frame that is not specified"))
  }

  private def bound(frameType: FrameType, bound: Expression): Either[Refusal, Message] = bound match {
    case UnboundedPreceding => Right(PlanProto.unboundedPreceding)
    case UnboundedFollowing => Right(PlanProto.unboundedFollowing)
    case CurrentRow => Right(PlanProto.currentRow)
    case distance if frameType == RowFrame && distance.foldable =>
      distance.eval() match {
        case rows: Int if rows < 0 => Right(PlanProto.preceding(ExpressionProto.int64(-rows.toLong)))
        case 0 => Right(PlanProto.currentRow)
        case rows: Int => Right(PlanProto.following(ExpressionProto.int64(rows.toLong)))
        case _ => refuse(distance, "a distance of rows that is no integer")
      }
    case other => refuse(other, "a RANGE frame with a distance")
  }

  private def refuse(e: Expression, detail: String): Left[Refusal, Nothing] = Left(Refusal(Converter.name(e), Refusal.Window, detail))
}
