package org.apache.spark.sql.plasmon.expression

import org.apache.spark.sql.catalyst.expressions.Expression
import org.apache.spark.sql.catalyst.expressions.aggregate._
import org.apache.spark.sql.plasmon.proto.{EnumValue, ExpressionProto, Message, PlanProto, TypeProto}
import org.apache.spark.sql.plasmon.proto.PlanNumbers.{ArithmeticOp, CastMode, CompareOp, NativeAggregate, Overflow}
import org.apache.spark.sql.types.{DataTypes => _, _}

/** A value that an aggregation of the engine gives for each group; `states`: how the same value comes of merging the engine's own states, where that can be. */
final case class Raw(
    function: EnumValue,
    arguments: Seq[Message],
    dataType: Message,
    filter: Option[Message] = None,
    ignoreNulls: Boolean = false,
    states: Option[States] = None) {

  /** The call, of rows for which `rows` is true (and its own filter). */
  def call(rows: Option[Message]): Message = {
    val both = (rows ++ filter).toSeq
    val condition = if (both.size > 1) Some(ExpressionProto.and(both)) else both.headOption
    PlanProto.aggregateCall(function, arguments, dataType, condition, ignoreNulls)
  }
}

/** The engine's states of a call, made of the node's input, with their types, and the type of the call's argument. */
final case class States(columns: Seq[Message], types: Seq[Message], argumentType: Message)

object States {
  /** A state that is the argument. */
  def same(value: Message, dataType: Message): Option[States] = Some(States(Seq(value), Seq(dataType), dataType))

  /** The state of a sum of longs, which is a decimal. */
  def ofLong(value: Message): Option[States] = {
    val (long, sum) = (DataTypes.known(LongType), TypeProto.decimal(DecimalType.MAX_PRECISION, 0))
    Some(States(Seq(ExpressionProto.cast(value, CastMode.Fail, sum)), Seq(sum), long))
  }
}

/**
 * A step of an aggregate function: values that the engine aggregates, and Spark's buffer columns made of them (given as columns, in the order of `raw`).
 */
final case class Step(raw: Seq[Raw], buffer: Seq[Message] => Seq[Message])

/**
 * An aggregate function in terms of Spark's buffer columns: how rows become buffers, how buffers are merged, and what a buffer's result is. Merging states is
 * itself an aggregation (the sum of counts, the least of minima), so every step is a plain aggregation of the engine, and functions of different
 * modes fit into one node.
 */
trait AggregateParts {
  /** From rows; arguments are converted over the node's input. */
  def update(converter: Converter): Either[Refusal, Step]

  /** From buffers, given as columns of the node's input. */
  def merge(buffers: Seq[Message]): Either[Refusal, Step]

  /** Whether merging needs the engine's own states, because it is no aggregation of buffers; then the step's buffer is the result. */
  def mergesStates: Boolean = false

  /** The result of a buffer, given as columns. */
  def evaluate(buffers: Seq[Message]): Either[Refusal, Message]
}

/** An aggregate function of Spark that has a native form; `function` is the simple name of its class. */
final case class AggregateForm(function: String, native: String)(val parts: AggregateFunction => Either[Refusal, AggregateParts])

private[expression] object AggregateForms {

  val forms: Seq[AggregateForm] = Seq(
    AggregateForm("Count", "COUNT, COUNT_ALL")(f => Right(new CountParts(f.asInstanceOf[Count]))),
    AggregateForm("Sum", "SUM")(f => SumParts(f.asInstanceOf[Sum])),
    AggregateForm("Average", "SUM, COUNT")(f => AverageParts(f.asInstanceOf[Average])),
    AggregateForm("Min", "MIN")(f => extreme(f, f.children.head, NativeAggregate.Min)),
    AggregateForm("Max", "MAX")(f => extreme(f, f.children.head, NativeAggregate.Max)),
    AggregateForm("BitAndAgg", "BIT_AND")(f => bits(f, NativeAggregate.BitAnd)),
    AggregateForm("BitOrAgg", "BIT_OR")(f => bits(f, NativeAggregate.BitOr)),
    AggregateForm("BitXorAgg", "BIT_XOR")(f => bits(f, NativeAggregate.BitXor)),
    AggregateForm("First", "FIRST, BOOL_OR") { f =>
      val first = f.asInstanceOf[First]
      Right(new PickParts(first.child, first.ignoreNulls, NativeAggregate.First))
    },
    AggregateForm("Last", "LAST, BOOL_OR") { f =>
      val last = f.asInstanceOf[Last]
      Right(new PickParts(last.child, last.ignoreNulls, NativeAggregate.Last))
    },
    moments("VariancePop", NativeAggregate.VariancePopulation),
    moments("VarianceSamp", NativeAggregate.VarianceSample),
    moments("StddevPop", NativeAggregate.DeviationPopulation),
    moments("StddevSamp", NativeAggregate.DeviationSample))

  /** Spark's older ways of dividing by zero have no native form. */
  private def moments(function: String, native: EnumValue): AggregateForm =
    AggregateForm(function, native.name.stripPrefix("NATIVE_AGGREGATE_")) { f =>
      Flags.boolean(f, "nullOnDivideByZero").flatMap {
        case true => Right(new MomentParts(f.children.head, native))
        case false => Left(Refusal(function, Refusal.Mode, "spark.sql.legacy.statisticalAggregate"))
      }
    }

  private lazy val byName = forms.map(form => form.function -> form).toMap

  /** The parts of a function, or why it has no native form. */
  def parts(function: AggregateFunction): Either[Refusal, AggregateParts] = byName.get(Converter.name(function)) match {
    case Some(form) => form.parts(function)
    case None => Left(Refusal(Converter.name(function), Refusal.Aggregate, s"no native form of ${function.prettyName}"))
  }

  private def extreme(function: AggregateFunction, child: Expression, native: EnumValue): Either[Refusal, AggregateParts] =
    if (Predicates.isComparable(child.dataType)) Right(new FoldParts(child, native)) else refuse(function, child.dataType)

  private def bits(function: AggregateFunction, native: EnumValue): Either[Refusal, AggregateParts] = {
    val child = function.children.head
    if (child.dataType.isInstanceOf[IntegralType]) Right(new FoldParts(child, native)) else refuse(function, child.dataType)
  }

  private[expression] def refuse(function: AggregateFunction, dataType: DataType): Left[Refusal, Nothing] =
    Left(Refusal(Converter.name(function), Refusal.OperandType, s"over ${dataType.simpleString}"))
}

/** What several functions need. */
private[expression] object AggregateParts {
  val long: Message = DataTypes.known(LongType)
  val boolean: Message = DataTypes.known(BooleanType)

  def zero(dataType: DataType): Message = dataType match {
    case DoubleType => ExpressionProto.literal(ExpressionProto.float64(0), DataTypes.known(dataType))
    case _ => ExpressionProto.literal(ExpressionProto.int64(0), DataTypes.known(dataType))
  }

  /** The value, or zero for none. */
  def orZero(value: Message, dataType: DataType): Message =
    ExpressionProto.caseWhen(
      Seq(ExpressionProto.isNotNull(value) -> value),
      Some(zero(dataType)),
      DataTypes.known(dataType))

  /** Rows in which the child is not null. */
  def counted(child: Expression, value: Message): Raw =
    if (child.nullable) Raw(NativeAggregate.Count, Seq(value), long) else Raw(NativeAggregate.CountAll, Nil, long)

  /** The sum of counts. */
  def countSum(count: Message): Raw = Raw(NativeAggregate.Sum, Seq(count), long, states = States.ofLong(count))

  /** The child in another type, when it has another. */
  def as(child: Expression, value: Message, to: DataType): Message =
    if (child.dataType == to) value else Casts.widened(value, to)
}

/** `count`: rows in which no child is null. Buffer: count. */
private final class CountParts(function: Count) extends AggregateParts {
  import AggregateParts._

  def update(converter: Converter): Either[Refusal, Step] =
    converter.all(function.children.filter(_.nullable)).map { values =>
      val raw = if (values.isEmpty) Raw(NativeAggregate.CountAll, Nil, long) else Raw(NativeAggregate.Count, values, long)
      Step(Seq(raw), identity)
    }

  def merge(buffers: Seq[Message]): Either[Refusal, Step] =
    Right(Step(Seq(countSum(buffers.head)), raw => Seq(orZero(raw.head, LongType))))

  def evaluate(buffers: Seq[Message]): Either[Refusal, Message] = Right(buffers.head)
}

/** Functions that merge as they update, of one value: minima, maxima, bits. Buffer: the value. */
private final class FoldParts(child: Expression, native: EnumValue) extends AggregateParts {

  def update(converter: Converter): Either[Refusal, Step] =
    for {
      kind <- DataTypes.toProto(child.dataType)
      value <- converter(child)
    } yield Step(Seq(Raw(native, Seq(value), kind)), identity)

  def merge(buffers: Seq[Message]): Either[Refusal, Step] =
    DataTypes.toProto(child.dataType).map { kind =>
      Step(Seq(Raw(native, buffers, kind, states = States.same(buffers.head, kind))), identity)
    }

  def evaluate(buffers: Seq[Message]): Either[Refusal, Message] = Right(buffers.head)
}

/** `first` and `last`. Buffers: the value, and whether there was a row for it. */
private final class PickParts(child: Expression, ignoreNulls: Boolean, native: EnumValue) extends AggregateParts {
  import AggregateParts._

  def update(converter: Converter): Either[Refusal, Step] =
    for {
      kind <- DataTypes.toProto(child.dataType)
      value <- converter(child)
    } yield {
      val rows = if (ignoreNulls) counted(child, value) else Raw(NativeAggregate.CountAll, Nil, long)
      Step(
        Seq(Raw(native, Seq(value), kind, ignoreNulls = ignoreNulls), rows),
        raw => Seq(raw.head, ExpressionProto.compare(CompareOp.Greater, raw(1), zero(LongType))))
    }

  def merge(buffers: Seq[Message]): Either[Refusal, Step] = DataTypes.toProto(child.dataType).map { kind =>
    val isSet = buffers(1)
    Step(
      Seq(Raw(native, Seq(buffers.head), kind, filter = Some(isSet)), Raw(NativeAggregate.BoolOr, Seq(isSet), boolean)),
      raw => Seq(raw.head, orFalse(raw(1))))
  }

  private def orFalse(value: Message): Message =
    ExpressionProto.caseWhen(Seq(value -> value), Some(ExpressionProto.literal(ExpressionProto.boolean(false), boolean)), boolean)

  def evaluate(buffers: Seq[Message]): Either[Refusal, Message] = Right(buffers.head)
}

/**
 * Variances and deviations. Buffers: rows, mean, sum of squared distances, all doubles. These come of the engine's count, average and variance; merging them is no sum of
 * anything without losing digits, so the engine merges them as its own states, which are the same three.
 */
private final class MomentParts(child: Expression, native: EnumValue) extends AggregateParts {
  import AggregateParts._

  private val double = DataTypes.known(DoubleType)

  override def mergesStates: Boolean = true

  def update(converter: Converter): Either[Refusal, Step] =
    if (child.dataType != DoubleType) Left(Refusal(native.name, Refusal.OperandType, s"over ${child.dataType.simpleString}"))
    else
      converter(child).map { value =>
        val raw = Seq(
          counted(child, value),
          Raw(NativeAggregate.Avg, Seq(value), double),
          Raw(NativeAggregate.VariancePopulation, Seq(value), double))
        Step(raw, buffer)
      }

  private def buffer(raw: Seq[Message]): Seq[Message] = {
    val rows = Casts.widened(raw.head, DoubleType)
    val squares = ExpressionProto.arithmetic(ArithmeticOp.Multiply, Overflow.Wrap, orZero(raw(2), DoubleType), rows, double)
    Seq(rows, orZero(raw(1), DoubleType), squares)
  }

  def merge(buffers: Seq[Message]): Either[Refusal, Step] =
    Right(Step(Seq(Raw(native, Nil, double, states = Some(States(buffers, Seq.fill(buffers.size)(double), double)))), identity))

  /** Of a merged state, which is the result. */
  def evaluate(buffers: Seq[Message]): Either[Refusal, Message] =
    if (buffers.size == 1) Right(buffers.head)
    else Left(Refusal(native.name, Refusal.AggregateMix, "a variance that is not merged"))
}
