package org.apache.spark.sql.plasmon.expression

import org.apache.spark.sql.catalyst.expressions.{EvalMode, Expression}
import org.apache.spark.sql.plasmon.proto.{EnumValue, ExpressionProto, Message, TypeProto}
import org.apache.spark.sql.plasmon.proto.PlanNumbers.{ArithmeticOp, CastMode, CompareOp, Overflow}
import org.apache.spark.sql.types.{DataType, DecimalType, LongType}

/**
 * Arithmetic of decimals as Spark has it: the exact result, rounded half up to the result's type; one that does not fit is null or an error.
 *
 * The engine computes exactly, but looks only whether a result fits its bits, not its digits. So where a result may have more digits than its type (which
 * happens only when the type was cut down to 38 of them), it is computed as 76 digits and cast; values that are small in fact stay in 64 bits all the way.
 */
private[expression] object DecimalArithmetic {

  /** Digits behind the point to which Spark rounds a quotient before it rounds it to the result's type. */
  private val QuotientScale = DecimalType.MAX_SCALE + 1

  /** Digits of the widest decimals of the engine. */
  private val WideDigits = 76

  /** `left op right` of the type `result`. */
  def convert(
      op: EnumValue,
      mode: EvalMode.Value,
      operands: Seq[Expression],
      result: DecimalType,
      converter: Converter): Either[Refusal, Message] =
    (operands.map(_.dataType), operands) match {
      case (Seq(left: DecimalType, right: DecimalType), Seq(l, r)) =>
        for {
          a <- converter(l)
          b <- converter(r)
          value <- exact(op, left, right, result) match {
            case Right(computed) => Right(apply(op, mode, a, b, computed, result))
            case Left(_) => roundedTwice(mode, a, b, result, converter)
          }
        } yield value
      case _ =>
        Left(Refusal("Decimal arithmetic", Refusal.OperandType, operands.map(_.dataType.simpleString).mkString(" and ")))
    }

  /** A quotient whose second rounding may show: a function that divides as Spark does, row by row. */
  private def roundedTwice(mode: EvalMode.Value, left: Message, right: Message, result: DecimalType, converter: Converter) =
    Form.typedNull(result).flatMap(kind => converter.callOf("spark_decimal_divide" + Form.suffix(mode), Seq(left, right, kind), result))

  /** `sum / count` as Spark's average has it; null when the count is zero. */
  def average(sum: Message, sumType: DecimalType, count: Message, result: DecimalType, mode: EvalMode.Value): Either[Refusal, Message] = {
    val countType = DecimalType.LongDecimal
    exact(ArithmeticOp.Divide, sumType, countType, result).map { computed =>
      val divisor = ExpressionProto.cast(count, CastMode.Fail, DataTypes.known(countType))
      val isNotZero = ExpressionProto.compare(
        CompareOp.NotEqual,
        count,
        ExpressionProto.literal(ExpressionProto.int64(0), DataTypes.known(LongType)))
      val quotient = apply(ArithmeticOp.Divide, mode, sum, divisor, computed, result)
      ExpressionProto.caseWhen(Seq(isNotZero -> quotient), None, DataTypes.known(result))
    }
  }

  /** A decimal in as many digits as there may be, as one of the type: rounded half up, null or an error where it does not fit. */
  def fitted(value: Message, result: DecimalType, mode: EvalMode.Value): Message =
    ExpressionProto.cast(value, castMode(mode), DataTypes.known(result))

  private def castMode(mode: EvalMode.Value): EnumValue = if (mode == EvalMode.ANSI) CastMode.Fail else CastMode.Null

  private def apply(
      op: EnumValue,
      mode: EvalMode.Value,
      left: Message,
      right: Message,
      computed: Computed,
      result: DecimalType): Message = {
    val overflow = if (mode == EvalMode.ANSI) Overflow.Fail else Overflow.Null
    val value = ExpressionProto.arithmetic(op, overflow, left, right, computed.proto)
    if (computed.isResult) value else fitted(value, result, mode)
  }

  /** The type in which an operation is computed. */
  private final case class Computed(precision: Int, scale: Int, isResult: Boolean) {
    def proto: Message = if (isResult) TypeProto.decimal(precision, scale) else TypeProto.decimal(precision, scale, bits = 256)
  }

  private def wide(scale: Int) = Right(Computed(WideDigits, scale, isResult = false))

  private def direct(result: DecimalType) = Right(Computed(result.precision, result.scale, isResult = true))

  private def exact(op: EnumValue, left: DecimalType, right: DecimalType, result: DecimalType): Either[Refusal, Computed] = {
    val (leftInt, rightInt) = (left.precision - left.scale, right.precision - right.scale)
    op match {
      case ArithmeticOp.Add | ArithmeticOp.Subtract =>
        val scale = math.max(left.scale, right.scale)
        if (holds(result, math.max(leftInt, rightInt) + 1, scale)) direct(result) else wide(scale)
      case ArithmeticOp.Multiply =>
        val scale = left.scale + right.scale
        if (holds(result, leftInt + rightInt + 1, scale)) direct(result) else wide(scale)
      case ArithmeticOp.Modulo =>
        val scale = math.max(left.scale, right.scale)
        if (holds(result, math.min(leftInt, rightInt), scale)) direct(result) else wide(scale)
      case _ => quotient(left, right, result)
    }
  }

  /** Whether every value of so many digits before and behind the point is one of the type. */
  private def holds(result: DecimalType, integerDigits: Int, scale: Int) =
    result.precision - result.scale >= integerDigits && result.scale >= scale

  /**
   * Spark rounds a quotient twice, first to 39 digits behind the point. That can only be told from one rounding when a quotient may lie closer to the middle
   * between two results than half a unit of the 39th digit; its distance from there is a multiple of 1 / (2 × divisor × 10^scale).
   */
  private def quotient(left: DecimalType, right: DecimalType, result: DecimalType): Either[Refusal, Computed] = {
    val integerDigits = left.precision - left.scale + right.scale
    val isRoundedOnce = right.precision + math.max(result.scale, left.scale - right.scale) < QuotientScale
    val fits = result.precision - result.scale >= integerDigits && result.scale >= left.scale - right.scale
    if (isRoundedOnce && fits) direct(result)
    else if (isRoundedOnce && integerDigits + result.scale < WideDigits) wide(result.scale)
    else if (integerDigits + QuotientScale < WideDigits) wide(QuotientScale)
    else {
      val types: Seq[DataType] = Seq(left, right)
      Left(Refusal("Divide", Refusal.OperandType, s"a quotient of ${types.map(_.simpleString).mkString(" and ")}"))
    }
  }
}
