package org.apache.spark.sql.plasmon.expression

import org.apache.spark.sql.catalyst.expressions.{Left => _, Right => _, _}
import org.apache.spark.sql.plasmon.proto.{EnumValue, ExpressionProto, Message}
import org.apache.spark.sql.plasmon.proto.PlanNumbers.{ArithmeticOp, CastMode, Overflow}
import org.apache.spark.sql.types.{DataTypes => _, _}

/** Functions of numbers, bits and decimals, and hashes. Functions whose last bit may differ from the JVM's are not here. */
private[expression] object Maths {
  import Form.{call, children, modal, of, where, withType}

  val forms: Seq[Form] = Seq(
    call("IsNaN", "spark_isnan"),
    call("NaNvl", "spark_nanvl"),
    call("NormalizeNaNAndZero", "spark_normalize_nan_and_zero"),
    Form("Pmod", "spark_pmod[_ansi|_try]") { (e, c) =>
      EvalModes.of(e).flatMap(mode => c.call("spark_pmod" + Form.suffix(mode), e.children, e.dataType))
    },
    modal("Abs", "spark_abs")(where(_.isInstanceOf[NumericType])(children)),
    round("Round", "spark_round"),
    round("BRound", "spark_bround"),
    round("RoundCeil", "spark_round_ceil"),
    round("RoundFloor", "spark_round_floor"),
    of("Ceil", "spark_ceil")(withType(children)),
    of("Floor", "spark_floor")(withType(children)),
    call("Sqrt", "spark_sqrt"),
    call("Signum", "spark_signum"),
    call("Rint", "spark_rint"),
    call("ToDegrees", "spark_degrees"),
    call("ToRadians", "spark_radians"),
    call("Factorial", "spark_factorial"),
    modal("Conv", "spark_conv", flag = "ansiEnabled")(),
    call("Bin", "spark_bin"),
    Form("ShiftLeft", "Arithmetic")((e, c) => shift(ArithmeticOp.ShiftLeft, e, c)),
    Form("ShiftRight", "Arithmetic")((e, c) => shift(ArithmeticOp.ShiftRight, e, c)),
    call("ShiftRightUnsigned", "spark_shift_right_unsigned"),
    call("BitwiseCount", "spark_bit_count"),
    call("BitwiseGet", "spark_bit_get"),
    of("Greatest", "spark_greatest")(where(Predicates.isComparable)(children)),
    of("Least", "spark_least")(where(Predicates.isComparable)(children)),
    of("WidthBucket", "spark_width_bucket")(where(t => t == DoubleType || t == LongType)(children)),
    modal("CheckOverflow", "spark_check_overflow", flag = "nullOnOverflow", negated = true)(withType(children)),
    modal("CheckOverflowInSum", "spark_check_overflow", flag = "nullOnOverflow", negated = true)(withType(children)),
    call("UnscaledValue", "spark_unscaled_value"),
    modal("MakeDecimal", "spark_make_decimal", flag = "nullOnOverflow", negated = true)(withType(children)),
    Form("XxHash64", "spark_xxhash64") { (e, c) =>
      hash("spark_xxhash64", e, Seq(Literal(e.asInstanceOf[XxHash64].seed)), c)
    },
    Form("Murmur3Hash", "spark_murmur3_hash") { (e, c) =>
      val seed = e.asInstanceOf[Murmur3Hash].seed
      if (seed == DefaultSeed) hash("spark_murmur3_hash", e, Nil, c)
      else Left(Refusal("Murmur3Hash", Refusal.Argument, s"the seed $seed"))
    },
    call("BloomFilterMightContain", "spark_might_contain"))

  private val DefaultSeed = 42

  /** Rounding to a constant number of digits. */
  private def round(expression: String, function: String): Form =
    Form(expression, s"$function[_ansi]") { (e, converter) =>
      for {
        isAnsi <- ansiOf(e)
        arguments <- withType(Form.constants(1))(e, converter)
        result <- converter.callOf(function + Form.suffix(Form.failing(isAnsi)), arguments :+ Form.java, e.dataType)
      } yield result
    }

  /** Ceilings and floors with a scale know no mode: what does not fit is an error in none. */
  private def ansiOf(e: Expression): Either[Refusal, Boolean] = e match {
    case _: RoundCeil | _: RoundFloor => Right(false)
    case other => Flags.boolean(other, "ansiEnabled")
  }

  /** A shift by an integer, of which the lowest bits count. */
  private def shift(op: EnumValue, e: Expression, converter: Converter): Either[Refusal, Message] =
    for {
      kind <- DataTypes.toProto(e.dataType)
      sides <- converter.all(e.children)
    } yield {
      val distance = if (e.dataType == LongType) ExpressionProto.cast(sides(1), CastMode.Fail, kind) else sides(1)
      ExpressionProto.arithmetic(op, Overflow.Wrap, sides.head, distance, kind)
    }

  /** A hash of values none of which is nested. */
  private def hash(function: String, e: Expression, more: Seq[Expression], converter: Converter): Either[Refusal, Message] =
    e.children.map(_.dataType).find(!Predicates.isComparable(_)) match {
      case Some(other) => Left(Refusal(Converter.name(e), Refusal.OperandType, s"over ${other.simpleString}"))
      case None => converter.call(function, e.children ++ more, e.dataType)
    }
}
