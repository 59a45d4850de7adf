package org.apache.spark.sql.plasmon.expression

import org.apache.spark.sql.catalyst.expressions.{EvalMode, Expression, Literal, TimeZoneAwareExpression}
import org.apache.spark.sql.plasmon.proto.{ExpressionProto, Message}
import org.apache.spark.sql.types.{DataType, IntegerType, StringType}

/**
 * How one class of Spark's expressions is said in `plan.proto`. `expression` is the simple name of the class, because some classes are not there in all
 * versions of Spark; `native` is what it becomes, for people. `convert` has the exact meaning or refuses.
 */
final case class Form(expression: String, native: String)(val convert: Form.Conversion)

object Form {
  type Conversion = (Expression, Converter) => Either[Refusal, Message]

  /** A function of the engine over the expression's children, which gives the expression's type. */
  def call(expression: String, function: String): Form =
    Form(expression, function)((e, converter) => converter.call(function, e.children, e.dataType))

  /** A function in two variants, `function` (legacy) and `function_ansi`; the expression's `flag` tells that it is ANSI mode (or, negated, that it is not). */
  def modal(expression: String, function: String, flag: String = "failOnError", negated: Boolean = false)(
      arguments: Arguments = children): Form =
    Form(expression, s"$function[_ansi]") { (e, converter) =>
      for {
        isSet <- Flags.boolean(e, flag)
        values <- arguments(e, converter)
        result <- converter.callOf(function + suffix(failing(isSet != negated)), values, e.dataType)
      } yield result
    }

  /** A function over arguments that are made of the expression. */
  def of(expression: String, function: String)(arguments: Arguments): Form =
    Form(expression, function)((e, converter) => arguments(e, converter).flatMap(converter.callOf(function, _, e.dataType)))

  /** How the arguments of a function are made of an expression. */
  type Arguments = (Expression, Converter) => Either[Refusal, Seq[Message]]

  /** The expression's children. */
  val children: Arguments = (e, converter) => converter.all(e.children)

  /** Arguments, then a null of the result's type. */
  def withType(arguments: Arguments): Arguments = (e, converter) =>
    for {
      first <- arguments(e, converter)
      kind <- typedNull(e.dataType)
    } yield first :+ kind

  /** Arguments, then the session's time zone. */
  def withZone(arguments: Arguments): Arguments = (e, converter) =>
    for {
      first <- arguments(e, converter)
      zone <- this.zone(e)
    } yield first :+ zone

  /** The children, those at these places being constants. */
  def constants(places: Int*): Arguments = (e, converter) =>
    places.map(e.children).find(child => !child.isInstanceOf[Literal]) match {
      case Some(child) => Left(Refusal(Converter.name(e), Refusal.Argument, s"$child is no constant"))
      case None => children(e, converter)
    }

  /** Arguments, of expressions whose children's types are taken. */
  def where(taken: DataType => Boolean)(arguments: Arguments): Arguments = (e, converter) =>
    e.children.map(_.dataType).find(dataType => !taken(dataType)) match {
      case Some(dataType) => Left(Refusal(Converter.name(e), Refusal.OperandType, s"over ${dataType.simpleString}"))
      case None => arguments(e, converter)
    }

  /** The suffix of a function's variant for the mode. */
  def suffix(mode: EvalMode.Value): String = mode match {
    case EvalMode.ANSI => "_ansi"
    case EvalMode.TRY => "_try"
    case _ => ""
  }

  /** ANSI or legacy, for expressions that know no `try`. */
  def failing(failOnError: Boolean): EvalMode.Value = if (failOnError) EvalMode.ANSI else EvalMode.LEGACY

  /** The time zone of an expression as a text literal. */
  def zone(expression: Expression): Either[Refusal, Message] = expression match {
    case aware: TimeZoneAwareExpression if aware.timeZoneId.isDefined => Right(text(aware.timeZoneId.get))
    case _ => Left(Refusal(expression.getClass.getSimpleName, Refusal.Argument, "its time zone is not known"))
  }

  /** A text literal. */
  def text(value: String): Message =
    ExpressionProto.literal(ExpressionProto.bytes(value.getBytes("UTF-8")), DataTypes.known(StringType))

  /** An integer literal. */
  def int(value: Int): Message = ExpressionProto.literal(ExpressionProto.int64(value.toLong), DataTypes.known(IntegerType))

  /** The feature version of the JVM, by which numbers are printed: `Double.toString` changed with 19. */
  def java: Message = int(Runtime.version().feature())

  /** A null that tells a type: `NULL::T`. */
  def typedNull(dataType: DataType): Either[Refusal, Message] = Literals.literal(null, dataType)
}
