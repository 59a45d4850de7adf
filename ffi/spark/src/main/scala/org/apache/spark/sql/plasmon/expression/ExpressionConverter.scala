package org.apache.spark.sql.plasmon.expression

import org.apache.spark.sql.catalyst.expressions.{Left => _, Right => _, _}
import org.apache.spark.sql.execution.{InSubqueryExec, ScalarSubquery}
import org.apache.spark.sql.plasmon.proto.{ExpressionProto, Message}
import org.apache.spark.sql.types.DataType

/** Whether the values of sub-queries are there. */
sealed trait Subqueries

object Subqueries {
  /** They have run: their values become literals. */
  case object Values extends Subqueries

  /** They have not: typed nulls stand in, so that planning can ask whether an expression is supported. Never to be run. */
  case object StandIns extends Subqueries
}

/** Spark's expressions → expressions of `plan.proto`, with exactly the same meaning, or a refusal. */
object ExpressionConverter {

  /** The expression over rows of `input`, whose attributes it names by their ids. */
  def convert(e: Expression, input: Seq[Attribute], subqueries: Subqueries = Subqueries.Values): Either[Refusal, Message] =
    convertAll(Seq(e), input, subqueries).map(_.head)

  /** All of them, or the first refusal. While Spark plans (values of sub-queries are not there yet), the engine is asked, too. */
  def convertAll(
      all: Seq[Expression],
      input: Seq[Attribute],
      subqueries: Subqueries = Subqueries.Values): Either[Refusal, Seq[Message]] =
    new Converter(input, subqueries).all(all).flatMap { made =>
      val refusal = if (subqueries == Subqueries.StandIns) NativeCheck.expressions(all, made, input) else None
      refusal.toLeft(made)
    }
}

/** Converts expressions over one input. */
final class Converter(input: Seq[Attribute], subqueries: Subqueries) {
  import Converter._

  private lazy val ordinals: Map[ExprId, Int] = input.map(_.exprId).zipWithIndex.toMap
  private var depth = 0

  /** The expression, or why it is refused. */
  def apply(e: Expression): Either[Refusal, Message] =
    if (depth >= DepthMax) Left(Refusal(name(e), Refusal.Depth, s"expressions nested more than $DepthMax deep"))
    else {
      depth += 1
      try DataTypes.toProto(e.dataType).flatMap(_ => convert(e))
      finally depth -= 1
    }

  /** All of them, or the first refusal. */
  def all(expressions: Seq[Expression]): Either[Refusal, Seq[Message]] = Traversal.all(expressions)(apply)

  /** A call of a function over expressions. */
  def call(function: String, arguments: Seq[Expression], dataType: DataType): Either[Refusal, Message] =
    all(arguments).flatMap(callOf(function, _, dataType))

  /** A call of a function. */
  def callOf(function: String, arguments: Seq[Message], dataType: DataType): Either[Refusal, Message] =
    DataTypes.toProto(dataType).map(ExpressionProto.call(function, arguments, _))

  private def convert(e: Expression): Either[Refusal, Message] = e match {
    case attribute: Attribute => column(attribute)
    case bound: BoundReference => DataTypes.toProto(bound.dataType).map(ExpressionProto.column(bound.ordinal, _))
    case literal: Literal => Literals.literal(literal.value, literal.dataType)
    case alias: Alias => apply(alias.child)
    case tagging: TaggingExpression => apply(tagging.child)
    case subquery: ScalarSubquery => scalar(subquery)
    case membership: InSubqueryExec => this.membership(membership)
    case other => Supported.of(other).flatMap(_.convert(other, this))
  }

  private def column(attribute: Attribute): Either[Refusal, Message] = ordinals.get(attribute.exprId) match {
    case Some(ordinal) =>
      DataTypes.toProto(input(ordinal).dataType).map(ExpressionProto.column(ordinal, _))
    case None =>
      Left(Refusal(name(attribute), Refusal.Attribute, s"$attribute is none of ${input.mkString(", ")}"))
  }

  private def scalar(subquery: ScalarSubquery): Either[Refusal, Message] = subqueries match {
    case Subqueries.StandIns => Literals.literal(null, subquery.dataType)
    case Subqueries.Values => Literals.literal(subquery.eval(null), subquery.dataType)
  }

  private def membership(in: InSubqueryExec): Either[Refusal, Message] = {
    val values = subqueries match {
      case Subqueries.StandIns => Right(Seq(null))
      case Subqueries.Values =>
        in.values().map(_.toSeq).toRight(Refusal(name(in), Refusal.Argument, "the sub-query has not run"))
    }
    values.flatMap(Predicates.inValues(in.child, _, this))
  }
}

object Converter {
  /** Expressions of Spark that may nest; one becomes up to four of the 400 levels that the reader takes. */
  val DepthMax = 90

  /** The name by which an expression is looked up and told. */
  def name(e: Expression): String = e.getClass.getSimpleName.stripSuffix("$")
}
