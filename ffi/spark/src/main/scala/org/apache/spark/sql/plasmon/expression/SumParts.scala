package org.apache.spark.sql.plasmon.expression

import org.apache.spark.sql.catalyst.expressions.{EvalMode, Expression}
import org.apache.spark.sql.catalyst.expressions.aggregate.{Average, Sum}
import org.apache.spark.sql.plasmon.proto.{ExpressionProto, Message, TypeProto}
import org.apache.spark.sql.plasmon.proto.PlanNumbers.{ArithmeticOp, CastMode, CompareOp, NativeAggregate, Overflow}
import org.apache.spark.sql.types.{DataTypes => _, _}

/** `sum`, by the type of its result. */
private[expression] object SumParts {
  def apply(function: Sum): Either[Refusal, AggregateParts] = EvalModes.of(function).flatMap { mode =>
    (function.dataType, function.child.dataType) match {
      case _ if mode == EvalMode.TRY => Left(Refusal("Sum", Refusal.Mode, "try_sum"))
      case (result: DecimalType, child: DecimalType) => Right(new DecimalSumParts(function.child, new DecimalSum(child, result, mode)))
      case (LongType, _: IntegralType) if mode == EvalMode.ANSI => Right(new PlainSumParts(function.child, LongType))
      case (LongType, _: IntegralType) => Right(new WrappingSumParts(function.child))
      case (DoubleType, FloatType | DoubleType) => Right(new PlainSumParts(function.child, DoubleType))
      case (_, other) => AggregateForms.refuse(function, other)
    }
  }
}

/** `avg`, by the type of its argument. */
private[expression] object AverageParts {
  def apply(function: Average): Either[Refusal, AggregateParts] = EvalModes.of(function).flatMap { mode =>
    (function.dataType, function.child.dataType) match {
      case _ if mode == EvalMode.TRY => Left(Refusal("Average", Refusal.Mode, "try_avg"))
      case (result: DecimalType, child: DecimalType) =>
        val sumType = DecimalType.bounded(child.precision + DecimalSum.MoreDigits, child.scale)
        Right(new DecimalAverageParts(function.child, new DecimalSum(child, sumType, mode), result))
      case (DoubleType, _: IntegralType | FloatType | DoubleType) => Right(new DoubleAverageParts(function.child))
      case (_, other) => AggregateForms.refuse(function, other)
    }
  }
}

/** Sums of longs that fail on overflow, and of doubles. Buffer: the sum, null without rows. */
private final class PlainSumParts(child: Expression, result: DataType) extends AggregateParts {

  def update(converter: Converter): Either[Refusal, Step] = converter(child).map(value => step(AggregateParts.as(child, value, result)))

  def merge(buffers: Seq[Message]): Either[Refusal, Step] = Right(step(buffers.head))

  def evaluate(buffers: Seq[Message]): Either[Refusal, Message] = Right(buffers.head)

  private def step(value: Message) = {
    val kind = DataTypes.known(result)
    val states = if (result == LongType) States.ofLong(value) else States.same(value, kind)
    Step(Seq(Raw(NativeAggregate.Sum, Seq(value), kind, states = states)), identity)
  }
}

/**
 * Sums of longs that wrap around. The engine's never do, so the sum is a decimal, of which the lowest 64 bits are taken at the end. Buffer: the sum, null
 * without rows.
 */
private final class WrappingSumParts(child: Expression) extends AggregateParts {
  import AggregateParts.long

  private val exact = TypeProto.decimal(DecimalType.LongDecimal.precision, 0)
  private val sum = TypeProto.decimal(DecimalType.LongDecimal.precision + DecimalSum.MoreDigits, 0)

  def update(converter: Converter): Either[Refusal, Step] = converter(child).map(step)

  def merge(buffers: Seq[Message]): Either[Refusal, Step] = Right(step(buffers.head))

  def evaluate(buffers: Seq[Message]): Either[Refusal, Message] = Right(buffers.head)

  private def step(value: Message) = {
    val decimal = ExpressionProto.cast(value, CastMode.Fail, exact)
    Step(Seq(Raw(NativeAggregate.Sum, Seq(decimal), sum)), raw => Seq(lowest64(raw.head)))
  }

  /** The long of the same lowest 64 bits. */
  private def lowest64(value: Message): Message = {
    val two64 = literal(java.math.BigInteger.ONE.shiftLeft(64))
    val rest = ExpressionProto.arithmetic(ArithmeticOp.Modulo, Overflow.Fail, value, two64, sum)
    val max = literal(java.math.BigInteger.valueOf(Long.MaxValue))
    val min = literal(java.math.BigInteger.valueOf(Long.MinValue))
    val wrapped = ExpressionProto.caseWhen(
      Seq(
        ExpressionProto.compare(CompareOp.Greater, rest, max) ->
          ExpressionProto.arithmetic(ArithmeticOp.Subtract, Overflow.Fail, rest, two64, sum),
        ExpressionProto.compare(CompareOp.Less, rest, min) ->
          ExpressionProto.arithmetic(ArithmeticOp.Add, Overflow.Fail, rest, two64, sum)),
      Some(rest),
      sum)
    ExpressionProto.cast(wrapped, CastMode.Fail, long)
  }

  private def literal(value: java.math.BigInteger) = ExpressionProto.literal(ExpressionProto.decimal(value), sum)
}

/**
 * A sum of decimals. Spark's has ten digits more than the argument, 38 at most. Where it has fewer than 38, no number of rows that there can be makes it
 * overflow. Where it may, the engine's 128 bits tell too late; a sum of more than 38 digits is found at the end. In legacy mode, where it is null rather than an
 * error, 256 bits are summed, so that nothing fails before.
 */
private final class DecimalSum(val child: DecimalType, val result: DecimalType, mode: EvalMode.Value) {
  private val mayOverflow = child.precision + DecimalSum.MoreDigits > DecimalType.MAX_PRECISION
  private val isWide = mayOverflow && mode != EvalMode.ANSI

  val failsOnOverflow: Boolean = mode == EvalMode.ANSI

  /** The sum of values of the type `of`: the child's or the sum's own. */
  def raw(value: Message, of: DecimalType): Raw =
    if (isWide) Raw(NativeAggregate.Sum, Seq(widened(value, DecimalSum.WideDigits, of.scale)), TypeProto.decimal(76, of.scale, bits = 256))
    else Raw(NativeAggregate.Sum, Seq(value), DataTypes.known(summed(of)))

  /** What the engine gives, as Spark's sum: null or an error where it does not fit. */
  def fitted(raw: Message, of: DecimalType): Message =
    if (isWide) DecimalArithmetic.fitted(raw, result, mode)
    else if (mayOverflow) DecimalArithmetic.fitted(widened(raw, 76, result.scale), result, mode)
    else if (summed(of) == result) raw
    else DecimalArithmetic.fitted(raw, result, mode)

  /** Null, or an error where the mode says so. */
  def overflowed(isOverflow: Message): Message = {
    val nothing = ExpressionProto.literal(ExpressionProto.nullValue, DataTypes.known(result))
    if (failsOnOverflow) DecimalSum.failure(isOverflow, result) else nothing
  }

  private def summed(of: DecimalType) = DecimalType.bounded(of.precision + DecimalSum.MoreDigits, of.scale)

  private def widened(value: Message, digits: Int, scale: Int): Message = {
    val zero = ExpressionProto.literal(ExpressionProto.int64(0), TypeProto.decimal(1, 0))
    val wide = TypeProto.decimal(digits, scale, bits = 256)
    ExpressionProto.arithmetic(ArithmeticOp.Add, Overflow.Fail, value, zero, wide)
  }
}

private[expression] object DecimalSum {
  /** Digits that a sum has more than what is summed, in Spark and in the engine. */
  val MoreDigits = 10

  /** Digits of a wide argument, so that its sum has 76. */
  private val WideDigits = 66

  /** Fails with the engine's error of an overflow where the condition is true; it is computed from it, so that it is not a constant. */
  private def failure(isOverflow: Message, dataType: DecimalType): Message = {
    import AggregateParts.long
    def number(value: Long) = ExpressionProto.literal(ExpressionProto.int64(value), long)
    val one = ExpressionProto.caseWhen(Seq(isOverflow -> number(1)), Some(number(0)), long)
    val sum = ExpressionProto.arithmetic(ArithmeticOp.Add, Overflow.Fail, number(Long.MaxValue), one, long)
    DecimalArithmetic.fitted(sum, dataType, EvalMode.TRY)
  }
}

/** `sum` of decimals. Buffers: the sum (null = it has overflowed), and whether there was no row for it. */
private final class DecimalSumParts(child: Expression, sum: DecimalSum) extends AggregateParts {
  import AggregateParts._

  private val result = DataTypes.known(sum.result)

  def update(converter: Converter): Either[Refusal, Step] = converter(child).map { value =>
    Step(Seq(sum.raw(value, sum.child)), raw => Seq(orZeroFitted(raw.head, sum.child), ExpressionProto.isNull(raw.head)))
  }

  def merge(buffers: Seq[Message]): Either[Refusal, Step] = {
    val (value, isEmpty) = (buffers.head, buffers(1))
    val isOverflow = ExpressionProto.and(Seq(ExpressionProto.not(isEmpty), ExpressionProto.isNull(value)))
    val raw = Seq(
      sum.raw(value, sum.result),
      Raw(NativeAggregate.BoolOr, Seq(isOverflow), boolean),
      Raw(NativeAggregate.BoolAnd, Seq(isEmpty), boolean))
    Right(Step(raw, merged))
  }

  private def merged(raw: Seq[Message]): Seq[Message] = {
    val no = ExpressionProto.literal(ExpressionProto.nullValue, result)
    val total = ExpressionProto.caseWhen(Seq(raw(1) -> no), Some(orZeroFitted(raw.head, sum.result)), result)
    val yes = ExpressionProto.literal(ExpressionProto.boolean(true), boolean)
    Seq(total, ExpressionProto.caseWhen(Seq(ExpressionProto.isNotNull(raw(2)) -> raw(2)), Some(yes), boolean))
  }

  def evaluate(buffers: Seq[Message]): Either[Refusal, Message] = {
    val (value, isEmpty) = (buffers.head, buffers(1))
    val no = ExpressionProto.literal(ExpressionProto.nullValue, result)
    val isOverflow = ExpressionProto.isNull(value)
    Right(ExpressionProto.caseWhen(Seq(isEmpty -> no, isOverflow -> sum.overflowed(isOverflow)), Some(value), result))
  }

  private def orZeroFitted(raw: Message, of: DecimalType): Message =
    ExpressionProto.caseWhen(Seq(ExpressionProto.isNull(raw) -> zero(sum.result)), Some(sum.fitted(raw, of)), result)
}

/** `avg` of decimals. Buffers: the sum (null = it has overflowed), the count. */
private final class DecimalAverageParts(child: Expression, sum: DecimalSum, result: DecimalType) extends AggregateParts {
  import AggregateParts._

  private val sumType = DataTypes.known(sum.result)

  def update(converter: Converter): Either[Refusal, Step] = converter(child).map { value =>
    Step(Seq(sum.raw(value, sum.child), counted(child, value)), raw => Seq(orZeroFitted(raw.head, sum.child), raw(1)))
  }

  def merge(buffers: Seq[Message]): Either[Refusal, Step] = {
    val isOverflow = Raw(NativeAggregate.BoolOr, Seq(ExpressionProto.isNull(buffers.head)), boolean)
    val no = ExpressionProto.literal(ExpressionProto.nullValue, sumType)
    Right(
      Step(
        Seq(sum.raw(buffers.head, sum.result), countSum(buffers(1)), isOverflow),
        raw =>
          Seq(
            ExpressionProto.caseWhen(Seq(raw(2) -> no), Some(orZeroFitted(raw.head, sum.result)), sumType),
            orZero(raw(1), LongType))))
  }

  def evaluate(buffers: Seq[Message]): Either[Refusal, Message] = {
    val mode = if (sum.failsOnOverflow) EvalMode.ANSI else EvalMode.LEGACY
    val isOverflow = ExpressionProto.isNull(buffers.head)
    val value = ExpressionProto.caseWhen(Seq(isOverflow -> sum.overflowed(isOverflow)), Some(buffers.head), sumType)
    DecimalArithmetic.average(value, sum.result, buffers(1), result, mode)
  }

  private def orZeroFitted(raw: Message, of: DecimalType): Message =
    ExpressionProto.caseWhen(Seq(ExpressionProto.isNull(raw) -> zero(sum.result)), Some(sum.fitted(raw, of)), sumType)
}

/** `avg` of integers and floats. Buffers: the sum as a double, the count. */
private final class DoubleAverageParts(child: Expression) extends AggregateParts {
  import AggregateParts._

  private val double = DataTypes.known(DoubleType)

  def update(converter: Converter): Either[Refusal, Step] =
    converter(child).map(value => step(as(child, value, DoubleType), counted(child, value)))

  def merge(buffers: Seq[Message]): Either[Refusal, Step] = Right(step(buffers.head, countSum(buffers(1))))

  private def step(value: Message, count: Raw) =
    Step(
      Seq(Raw(NativeAggregate.Sum, Seq(value), double, states = States.same(value, double)), count),
      raw => Seq(orZero(raw.head, DoubleType), orZero(raw(1), LongType)))

  def evaluate(buffers: Seq[Message]): Either[Refusal, Message] = {
    val count = Casts.widened(buffers(1), DoubleType)
    val quotient = ExpressionProto.arithmetic(ArithmeticOp.Divide, Overflow.Wrap, buffers.head, count, double)
    val isNotZero = ExpressionProto.compare(CompareOp.NotEqual, buffers(1), zero(LongType))
    Right(ExpressionProto.caseWhen(Seq(isNotZero -> quotient), None, double))
  }
}
