package org.apache.spark.sql.plasmon.expression

import org.apache.spark.sql.catalyst.expressions.{Left => _, Right => _, _}
import org.apache.spark.sql.plasmon.proto.{EnumValue, ExpressionProto, Message}
import org.apache.spark.sql.plasmon.proto.PlanNumbers.{ArithmeticOp, CompareOp, Overflow}
import org.apache.spark.sql.types.{DataTypes => _, _}

/** Arithmetic over integers and floats; decimals are in [[DecimalArithmetic]]. */
private[expression] object Arithmetics {

  val forms: Seq[Form] = Seq(
    binary("Add", "Arithmetic, Cast")(plain(ArithmeticOp.Add, _, _, _)),
    binary("Subtract", "Arithmetic, Cast")(plain(ArithmeticOp.Subtract, _, _, _)),
    binary("Multiply", "Arithmetic, Cast")(plain(ArithmeticOp.Multiply, _, _, _)),
    binary("Divide", "Arithmetic, Case, Cast")(divide),
    binary("IntegralDivide", "Arithmetic, Case")(integralDivide),
    binary("Remainder", "Arithmetic, Case")(remainder),
    Form("UnaryMinus", "Negate") { (e, c) =>
      val minus = e.asInstanceOf[UnaryMinus]
      negate(minus.child, Form.failing(minus.failOnError), c)
    },
    Form("UnaryPositive", "its operand")((e, c) => c(e.children.head)),
    Form("BitwiseAnd", "Arithmetic")((e, c) => bits(ArithmeticOp.BitAnd, e, c)),
    Form("BitwiseOr", "Arithmetic")((e, c) => bits(ArithmeticOp.BitOr, e, c)),
    Form("BitwiseXor", "Arithmetic")((e, c) => bits(ArithmeticOp.BitXor, e, c)),
    Form("BitwiseNot", "Arithmetic")((e, c) => bitwiseNot(e.children.head, c)))

  /** What the mode does on overflow. */
  def overflow(mode: EvalMode.Value): EnumValue = mode match {
    case EvalMode.ANSI => Overflow.Fail
    case EvalMode.TRY => Overflow.Null
    case _ => Overflow.Wrap
  }

  /** An operation that minds the mode. */
  private def binary(expression: String, native: String)(
      convert: (EvalMode.Value, Expression, Converter) => Either[Refusal, Message]): Form =
    Form(expression, native)((e, converter) => EvalModes.of(e).flatMap(convert(_, e, converter)))

  private def isFloating(dataType: DataType) = dataType == FloatType || dataType == DoubleType

  private def isIntegral(dataType: DataType) = dataType.isInstanceOf[IntegralType]

  private def plain(op: EnumValue, mode: EvalMode.Value, e: Expression, c: Converter): Either[Refusal, Message] =
    e.dataType match {
      case result: DecimalType => DecimalArithmetic.convert(op, mode, e.children, result, c)
      case number if isIntegral(number) || isFloating(number) => arithmetic(op, overflow(mode), e, c)
      case other => refuse(e, other)
    }

  private def arithmetic(op: EnumValue, overflow: EnumValue, e: Expression, c: Converter): Either[Refusal, Message] =
    for {
      kind <- DataTypes.toProto(e.dataType)
      sides <- c.all(e.children)
    } yield ExpressionProto.arithmetic(op, overflow, sides.head, sides(1), kind)

  private def divide(mode: EvalMode.Value, e: Expression, c: Converter): Either[Refusal, Message] = e.dataType match {
    case result: DecimalType => DecimalArithmetic.convert(ArithmeticOp.Divide, mode, e.children, result, c)
    case DoubleType => floatingDivision(ArithmeticOp.Divide, mode, e, c)
    case other => refuse(e, other)
  }

  private def remainder(mode: EvalMode.Value, e: Expression, c: Converter): Either[Refusal, Message] = e.dataType match {
    case result: DecimalType => DecimalArithmetic.convert(ArithmeticOp.Modulo, mode, e.children, result, c)
    case number if isFloating(number) => floatingDivision(ArithmeticOp.Modulo, mode, e, c)
    case number if isIntegral(number) =>
      arithmetic(ArithmeticOp.Modulo, if (mode == EvalMode.ANSI) Overflow.Fail else Overflow.Null, e, c)
    case other => refuse(e, other)
  }

  /**
   * Division of floats, for which Spark, unlike IEEE 754, knows no zero as a divisor: null, or in ANSI mode an error, unless the dividend is null. The
   * error is that of a division of integers of which one is computed from the divisor, so that it is not a constant.
   */
  private def floatingDivision(op: EnumValue, mode: EvalMode.Value, e: Expression, c: Converter): Either[Refusal, Message] =
    for {
      kind <- DataTypes.toProto(e.dataType)
      sides <- c.all(e.children)
    } yield {
      val (left, right) = (sides.head, sides(1))
      val quotient = ExpressionProto.arithmetic(op, Overflow.Wrap, left, right, kind)
      val isZero = ExpressionProto.compare(CompareOp.Equal, right, zero(e.dataType))
      if (mode != EvalMode.ANSI) {
        ExpressionProto.caseWhen(Seq(ExpressionProto.not(isZero) -> quotient), None, kind)
      } else {
        val fails = ExpressionProto.and(Seq(isZero, ExpressionProto.isNotNull(left)))
        ExpressionProto.caseWhen(Seq(fails -> divisionByZero(isZero, e.dataType)), Some(quotient), kind)
      }
    }

  /** Fails with the engine's error of a division by zero where the condition is true. */
  private def divisionByZero(isZero: Message, dataType: DataType): Message = {
    val int = DataTypes.known(IntegerType)
    val divisor = ExpressionProto.caseWhen(Seq(isZero -> zero(IntegerType)), Some(number(1, IntegerType)), int)
    val quotient = ExpressionProto.arithmetic(ArithmeticOp.Divide, Overflow.Fail, number(1, IntegerType), divisor, int)
    Casts.widened(quotient, dataType)
  }

  /**
   * `div`: a long. The one quotient of integers that does not fit, that of the smallest value and -1, wraps around in legacy mode, while null (which is
   * what the engine has for the zero) would come of both.
   */
  private def integralDivide(mode: EvalMode.Value, e: Expression, c: Converter): Either[Refusal, Message] =
    if (!e.children.forall(child => isIntegral(child.dataType))) refuse(e, e.children.head.dataType)
    else
      c.all(e.children).map { operands =>
        val sides = operands.zip(e.children).map {
          case (side, child) if child.dataType == LongType => side
          case (side, _) => Casts.widened(side, LongType)
        }
        val long = DataTypes.known(LongType)
        val overflow = if (mode == EvalMode.ANSI) Overflow.Fail else Overflow.Null
        val quotient = ExpressionProto.arithmetic(ArithmeticOp.Divide, overflow, sides.head, sides(1), long)
        if (mode != EvalMode.LEGACY) quotient
        else {
          val isMinusOne = ExpressionProto.compare(CompareOp.Equal, sides(1), number(-1, LongType))
          val negated = ExpressionProto.negate(sides.head, Overflow.Wrap, long)
          ExpressionProto.caseWhen(Seq(isMinusOne -> negated), Some(quotient), long)
        }
      }

  private def negate(operand: Expression, mode: EvalMode.Value, c: Converter): Either[Refusal, Message] =
    operand.dataType match {
      case _: DecimalType => negateOf(operand, Overflow.Fail, c)
      case number if isIntegral(number) || isFloating(number) => negateOf(operand, overflow(mode), c)
      case other => refuse(operand, other)
    }

  private def negateOf(operand: Expression, overflow: EnumValue, c: Converter): Either[Refusal, Message] =
    for {
      kind <- DataTypes.toProto(operand.dataType)
      value <- c(operand)
    } yield ExpressionProto.negate(value, overflow, kind)

  private def bits(op: EnumValue, e: Expression, c: Converter): Either[Refusal, Message] =
    if (isIntegral(e.dataType)) arithmetic(op, Overflow.Wrap, e, c) else refuse(e, e.dataType)

  /** `~x` is `x ^ -1`. */
  private def bitwiseNot(operand: Expression, c: Converter): Either[Refusal, Message] =
    if (!isIntegral(operand.dataType)) refuse(operand, operand.dataType)
    else
      for {
        kind <- DataTypes.toProto(operand.dataType)
        value <- c(operand)
      } yield ExpressionProto.arithmetic(ArithmeticOp.BitXor, Overflow.Wrap, value, number(-1, operand.dataType), kind)

  private def zero(dataType: DataType): Message = number(0, dataType)

  /** An integer as a literal of a type of numbers. */
  private def number(value: Int, dataType: DataType): Message = {
    val encoded = dataType match {
      case FloatType => ExpressionProto.float32(value.toFloat)
      case DoubleType => ExpressionProto.float64(value.toDouble)
      case _ => ExpressionProto.int64(value.toLong)
    }
    ExpressionProto.literal(encoded, DataTypes.known(dataType))
  }

  private def refuse(e: Expression, dataType: DataType) =
    Left(Refusal(Converter.name(e), Refusal.OperandType, s"over ${dataType.simpleString}"))
}
