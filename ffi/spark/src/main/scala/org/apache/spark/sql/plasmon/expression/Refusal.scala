package org.apache.spark.sql.plasmon.expression

/**
 * Why something is left to Spark. `node` is the class that is refused, `reason` one of [[Refusal]]'s codes (stable, for machines), `detail` says the
 * same to people.
 */
final case class Refusal(node: String, reason: String, detail: String) {
  override def toString: String = s"$reason: $node: $detail"
}

object Refusal {
  /** An expression class that has no native form. */
  val Expression = "expression.unsupported"
  /** An expression that has a native form, but not with these types. */
  val OperandType = "expression.type"
  /** An expression that has a native form, but not with these arguments (an argument that must be constant, a pattern outside of a subset). */
  val Argument = "expression.argument"
  /** A mode of evaluation (ANSI, legacy, try) that has no native form. */
  val Mode = "expression.mode"
  /** An attribute that the input lacks. */
  val Attribute = "expression.attribute"
  /** A type that the engine does not have. */
  val DataType = "type.unsupported"
  /** A string type with another collation than UTF8_BINARY. */
  val Collation = "type.collation"
  /** An aggregate function that has no native form. */
  val Aggregate = "aggregate.unsupported"
  /** Aggregate functions that cannot be computed by one native node. */
  val AggregateMix = "aggregate.mixed"

  /** An operator that has no native form. */
  val Operator = "operator.unsupported"
  /** A kind of join that has no native form. */
  val Join = "join.unsupported"
  /** A broadcast that Spark has made in its own form. */
  val Broadcast = "join.broadcast"
  /** A window function or frame that has no native form. */
  val Window = "window.unsupported"
  /** A partitioning of a shuffle that has no native form. */
  val Partitioning = "shuffle.partitioning"

  /** Something that the engine's reader refuses, for the reason that it gives. */
  val Native = "engine.refused"

  /** Nesting that the engine's reader refuses. */
  val Depth = "expression.depth"
}
