package org.apache.spark.sql.plasmon.expression

import org.apache.spark.sql.catalyst.expressions.{Expression, RoundBase}
import org.apache.spark.sql.types.{DataType, DecimalType}

/** The one table of what is native. Documentation and `fallbackReport` print it. */
object Supported {

  /** Every expression that has a native form, family by family. */
  val forms: Seq[Form] =
    Predicates.forms ++ Arithmetics.forms ++ Casts.forms ++ Maths.forms ++ Texts.forms ++ Temporals.forms ++ Collections.forms

  /** By the simple name of Spark's class. */
  private val byName: Map[String, Form] = forms.map(form => form.expression -> form).toMap

  /** The form of an expression, or why there is none. */
  def of(e: Expression): Either[Refusal, Form] = {
    val name = Converter.name(e)
    if ((OfBigDecimals.contains(name) || roundsTens(e)) && e.children.map(_.dataType).exists(isLong)) {
      Left(Refusal(name, Refusal.OperandType, s"decimals of more than $BigDecimalDigits digits, which Spark's own $name rounds"))
    } else {
      byName.get(name).toRight(Refusal(name, Refusal.Expression, s"no native form of ${e.prettyName}"))
    }
  }

  /** Spark computes these by Scala's BigDecimal, whose context keeps so many digits: of more, it rounds, and fails where that does not fit. */
  private val BigDecimalDigits = 34
  private val OfBigDecimals = Set("UnaryMinus", "Abs", "Remainder", "Pmod", "IntegralDivide")

  /** Rounding before the point may give one digit more. */
  private def roundsTens(e: Expression) = e match {
    case rounding: RoundBase => rounding.children(1).eval() match { case digits: Int => digits < 0; case _ => true }
    case _ => false
  }

  private def isLong(dataType: DataType) = dataType match {
    case decimal: DecimalType => decimal.precision > BigDecimalDigits
    case _ => false
  }

  /** The aggregate functions, by the simple name of Spark's class, and what they become. */
  val aggregates: Seq[(String, String)] = AggregateForms.forms.map(form => form.function -> form.native)
}
