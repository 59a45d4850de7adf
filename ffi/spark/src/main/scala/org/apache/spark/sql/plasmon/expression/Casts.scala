package org.apache.spark.sql.plasmon.expression

import org.apache.spark.sql.catalyst.expressions.{Cast, EvalMode}
import org.apache.spark.sql.plasmon.proto.{ExpressionProto, Message}
import org.apache.spark.sql.plasmon.proto.PlanNumbers.{CastMode, CompareOp}
import org.apache.spark.sql.types.{DataTypes => _, _}

/** Casts: those that the engine's own cast does exactly as Spark; the others are functions. */
private[expression] object Casts {

  val forms: Seq[Form] = Seq(Form("Cast", "Cast, Compare, spark_cast[_ansi|_try]")((e, c) => cast(e.asInstanceOf[Cast], c)))

  /** A cast that has an image for every value. */
  def widened(value: Message, to: DataType): Message = ExpressionProto.cast(value, CastMode.Fail, DataTypes.known(to))

  private def cast(e: Cast, converter: Converter): Either[Refusal, Message] = {
    val (from, to) = (e.child.dataType, e.dataType)
    if (isSame(from, to)) converter(e.child)
    else if (from == NullType) Literals.literal(null, to)
    else if (isWidening(from, to)) converter(e.child).map(widened(_, to))
    else
      (from, to) match {
        case (_: NumericType, BooleanType) => converter(e.child).map(isNotZero(_, from))
        case (number: IntegralType, decimal: DecimalType) => converter(e.child).map(toDecimal(_, number, decimal, e.evalMode))
        case (_: DecimalType, decimal: DecimalType) =>
          converter(e.child).map(DecimalArithmetic.fitted(_, decimal, e.evalMode))
        case _ => byFunction(e, converter)
      }
  }

  /** Types that differ in what they say of nulls alone, or in the name of one kind of text. */
  private def isSame(from: DataType, to: DataType): Boolean = (from, to) match {
    case (a: StringType, b: StringType) => DataTypes.isBinaryCollation(a) && DataTypes.isBinaryCollation(b)
    case _ => from.asNullable == to.asNullable
  }

  /** Casts in which every value has an exact image, or one that both round to nearest. */
  private def isWidening(from: DataType, to: DataType): Boolean = (from, to) match {
    case (a: IntegralType, b: IntegralType) => a.defaultSize < b.defaultSize
    case (_: IntegralType, FloatType | DoubleType) => true
    case (FloatType, DoubleType) | (DoubleType, FloatType) => true
    case (BooleanType, _: IntegralType | FloatType | DoubleType) => true
    // Up to 15 digits, a double has the unscaled value and the power of ten exactly, so that dividing rounds once.
    case (decimal: DecimalType, DoubleType) => decimal.precision <= DoubleExactDigits
    case (DateType, TimestampNTZType) => true
    case (text: StringType, BinaryType) => DataTypes.isBinaryCollation(text)
    case _ => false
  }

  private val DoubleExactDigits = 15

  private def isNotZero(value: Message, from: DataType): Message = {
    val zero = from match {
      case FloatType => ExpressionProto.float32(0)
      case DoubleType => ExpressionProto.float64(0)
      case _ => ExpressionProto.int64(0)
    }
    ExpressionProto.compare(CompareOp.NotEqual, value, ExpressionProto.literal(zero, DataTypes.known(from)))
  }

  /** By way of a decimal that holds every value of the integer's type. */
  private def toDecimal(value: Message, from: IntegralType, to: DecimalType, mode: EvalMode.Value): Message = {
    val whole = DecimalType.forType(from)
    if (to.precision - to.scale >= whole.precision) widened(value, to)
    else DecimalArithmetic.fitted(widened(value, whole), to, mode)
  }

  /** By the function that has Spark's parsing, printing and rounding, the types that it knows. */
  private def byFunction(e: Cast, converter: Converter): Either[Refusal, Message] =
    if (!isKnown(e.child.dataType, e.dataType)) refuse(e)
    else
      for {
        value <- converter(e.child)
        kind <- Form.typedNull(e.dataType)
        result <- converter.callOf(
          "spark_cast" + Form.suffix(e.evalMode),
          Seq(value, kind, Form.text(e.timeZoneId.getOrElse("UTC")), Form.java),
          e.dataType)
      } yield result

  private def isKnown(from: DataType, to: DataType): Boolean = (from, to) match {
    case (TimestampType, _: DecimalType | BooleanType) | (_: DecimalType | BooleanType, TimestampType) => false
    case (FloatType | DoubleType, TimestampType) => false
    // Bytes that are no UTF-8 stay as they are in Spark, and the engine's texts cannot hold them.
    case (BinaryType, _: StringType) => false
    // Spark cuts a decimal of more than 34 digits down to those first, and up.
    case (decimal: DecimalType, _: IntegralType) => decimal.precision <= 34
    // Null for every date, but no function of the engine's says so.
    case (DateType, _: NumericType | BooleanType) => false
    case (a, b) => isPlain(a) && isPlain(b)
  }

  private def isPlain(dataType: DataType): Boolean = dataType match {
    case BooleanType | _: NumericType | DateType | TimestampType | TimestampNTZType => true
    case text: StringType => DataTypes.isBinaryCollation(text)
    case _ => false
  }

  private def refuse(e: Cast): Either[Refusal, Message] =
    Left(Refusal("Cast", Refusal.OperandType, s"${e.child.dataType.simpleString} to ${e.dataType.simpleString}"))
}
