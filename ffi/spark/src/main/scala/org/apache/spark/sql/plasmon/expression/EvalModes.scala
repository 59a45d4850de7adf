package org.apache.spark.sql.plasmon.expression

import scala.util.Try

import org.apache.spark.sql.catalyst.expressions.{EvalMode, Expression}

/**
 * The mode in which an expression is evaluated: ANSI, legacy or try. Where it stands differs: Spark 4.0 has `evalMode` in each class, 4.1 and later have it
 * inside of `evalContext` for arithmetic and sums. Calls compiled against the one would not link with the other, hence reflection.
 */
private[expression] object EvalModes {

  def of(e: Expression): Either[Refusal, EvalMode.Value] =
    Try(call(e, "evalMode"))
      .orElse(Try(call(call(e, "evalContext"), "evalMode")))
      .collect { case mode: EvalMode.Value @unchecked => mode }
      .toEither
      .left
      .map(_ => Refusal(Converter.name(e), Refusal.Mode, "its mode of evaluation is not known"))

  private def call(target: AnyRef, method: String): AnyRef = target.getClass.getMethod(method).invoke(target)
}

/** Settings of expressions that their classes in one version of Spark have and in another may not. */
private[expression] object Flags {

  /** The value of an accessor, or a refusal where there is none. */
  def boolean(e: Expression, accessor: String): Either[Refusal, Boolean] =
    Try(e.getClass.getMethod(accessor).invoke(e)).collect { case flag: java.lang.Boolean => flag.booleanValue }.toEither.left
      .map(_ => Refusal(Converter.name(e), Refusal.Mode, s"it does not tell $accessor"))
}
