package org.apache.spark.sql.plasmon.expression

import org.apache.spark.sql.catalyst.expressions.{Attribute, Expression, NamedExpression}
import org.apache.spark.sql.catalyst.expressions.aggregate._
import org.apache.spark.sql.plasmon.proto.{ExpressionProto, Message, PlanProto}
import org.apache.spark.sql.plasmon.proto.PlanNumbers.AggregatePhase
import org.apache.spark.sql.types.DataType

/**
 * What an aggregation node of Spark does: the fields of `BaseAggregateExec` by their names there. `mayRepeat`: a group may come several times, because another node
 * merges what this one gives; those that Spark wants no distribution of rows for are such.
 */
final case class AggregateNode(
    groupingExpressions: Seq[NamedExpression],
    aggregateExpressions: Seq[AggregateExpression],
    aggregateAttributes: Seq[Attribute],
    resultExpressions: Seq[NamedExpression],
    mayRepeat: Boolean)

/**
 * Aggregation nodes of Spark → relations of `plan.proto`, with Spark's own buffer columns between partial and final ones, so that either may run here or there.
 *
 * A node becomes an aggregation, whose functions all are of the phase SINGLE or REPEATING (see [[AggregateParts]]), and up to three projections above: the engine's values made
 * into Spark's buffers, buffers into results, results into the node's output.
 */
object AggregateConverter {

  /** What makes the relation that is the node of the one that is its input: one relation after the other. */
  def convert(
      node: AggregateNode,
      input: Seq[Attribute],
      subqueries: Subqueries = Subqueries.Values): Either[Refusal, Seq[Message => Message]] =
    new AggregateConverter(node, input, subqueries).convert().flatMap { layers =>
      val refusal = if (subqueries == Subqueries.StandIns) check(node, input, layers) else None
      refusal.toLeft(layers)
    }

  /** Asks the engine whether it takes the relations, over no rows. */
  private def check(node: AggregateNode, input: Seq[Attribute], layers: Seq[Message => Message]): Option[Refusal] = {
    val functions = node.aggregateExpressions.map(f => Converter.name(f.aggregateFunction)).distinct
    NativeCheck.relation(layers.foldLeft(NativeCheck.rows(input))((below, layer) => layer(below)), functions.mkString(", "))
  }
}

private final class AggregateConverter(node: AggregateNode, input: Seq[Attribute], subqueries: Subqueries) {
  private val converter = new Converter(input, subqueries)
  private val functions = node.aggregateExpressions
  private val isFinal = functions.nonEmpty && functions.forall(f => f.mode == Final || f.mode == Complete)

  def convert(): Either[Refusal, Seq[Message => Message]] =
    for {
      _ <- checkModes()
      keys <- Traversal.all(node.groupingExpressions)(key)
      keyTypes <- types(node.groupingExpressions.map(_.dataType))
      parts <- Traversal.all(functions)(f => AggregateForms.parts(f.aggregateFunction))
      inputBuffers <- this.inputBuffers()
      steps <- Traversal.all(functions.indices)(i => step(functions(i), parts(i), inputBuffers(i)))
      filters <- Traversal.all(functions)(filter)
      bufferTypes <- Traversal.all(functions.indices)(i => this.bufferTypes(functions(i), parts(i)))
      aggregation <- this.aggregation(keys, keyTypes, steps, filters, parts)
      buffers = bufferLayer(keyTypes, steps)
      bufferFields = intermediate(keyTypes ++ bufferTypes.flatten)
      layers <- resultLayers(keyTypes, parts, bufferTypes)
    } yield {
      val projections = if (steps.forall(isPlain)) layers else Layer(bufferFields, buffers) +: layers
      aggregation ++ projections.map(projected)
    }

  // ------------------------------------------------------------- the aggregation

  private def checkModes(): Either[Refusal, Unit] =
    if (functions.exists(f => f.mode == Final || f.mode == Complete) && !isFinal) {
      Left(Refusal("Aggregate", Refusal.AggregateMix, functions.map(f => s"${f.mode}").mkString(", ")))
    } else Right(())

  private def key(expression: Expression): Either[Refusal, Message] =
    if (Predicates.isComparable(expression.dataType)) converter(expression)
    else Left(Refusal(Converter.name(expression), Refusal.OperandType, s"a group key of type ${expression.dataType.simpleString}"))

  /** The node's filter clauses hold for rows; buffers were made of rows that they let through. */
  private def filter(function: AggregateExpression): Either[Refusal, Option[Message]] =
    if (readsBuffers(function)) Right(None)
    else converter.all(function.filter.toSeq).map(_.headOption)

  private def readsBuffers(function: AggregateExpression) = function.mode == PartialMerge || function.mode == Final

  /** The buffers that each function reads: the last columns of the input, in the order of the functions that read any. */
  private def inputBuffers(): Either[Refusal, Seq[Seq[Message]]] = {
    val counts = functions.map(f => if (readsBuffers(f)) f.aggregateFunction.aggBufferAttributes.size else 0)
    val starts = counts.scanLeft(input.size - counts.sum)(_ + _)
    Traversal.all(functions.indices) { i =>
      val wanted = if (readsBuffers(functions(i))) functions(i).aggregateFunction.aggBufferAttributes else Nil
      val available = input.slice(starts(i), starts(i) + counts(i))
      if (starts(i) < 0 || !wanted.map(_.dataType.asNullable).equals(available.map(_.dataType.asNullable))) {
        Left(Refusal(Converter.name(functions(i).aggregateFunction), Refusal.Attribute, "the input has no buffers of its types"))
      } else types(wanted.map(_.dataType)).map(columns(_, starts(i)))
    }
  }

  private def step(function: AggregateExpression, parts: AggregateParts, buffers: Seq[Message]): Either[Refusal, Step] =
    if (readsBuffers(function)) parts.merge(buffers) else parts.update(converter)

  /** The types of what a function's step gives: Spark's buffers, or the result. */
  private def bufferTypes(function: AggregateExpression, parts: AggregateParts): Either[Refusal, Seq[Message]] =
    if (parts.mergesStates && readsBuffers(function)) types(Seq(function.dataType))
    else types(function.aggregateFunction.aggBufferAttributes.map(_.dataType))

  private def aggregation(
      keys: Seq[Message],
      keyTypes: Seq[Message],
      steps: Seq[Step],
      filters: Seq[Option[Message]],
      parts: Seq[AggregateParts]): Either[Refusal, Seq[Message => Message]] = {
    val fields = intermediate(keyTypes ++ steps.flatMap(_.raw.map(_.dataType)))
    if (parts.zip(functions).exists { case (part, function) => part.mergesStates && readsBuffers(function) }) {
      mergedStates(keys, keyTypes, steps.flatMap(_.raw), fields)
    } else {
      val calls = steps.zip(filters).flatMap { case (step, filter) => step.raw.map(_.call(filter)) }
      val phase = if (node.mayRepeat && keys.nonEmpty) AggregatePhase.Repeating else AggregatePhase.Single
      Right(Seq(source => PlanProto.relation(fields, PlanProto.aggregate(source, keys, Nil, calls, phase))))
    }
  }

  /** A projection to keys and the engine's own states, and an aggregation that merges these. */
  private def mergedStates(
      keys: Seq[Message],
      keyTypes: Seq[Message],
      raw: Seq[Raw],
      fields: Seq[Message]): Either[Refusal, Seq[Message => Message]] =
    if (!isFinal || raw.exists(r => r.states.isEmpty || r.filter.isDefined)) {
      val names = functions.map(f => Converter.name(f.aggregateFunction)).distinct.mkString(", ")
      Left(Refusal(names, Refusal.AggregateMix, "a variance merged beside functions that have no states of the engine"))
    } else {
      val states = raw.flatMap(_.states)
      val layout = Layer(intermediate(keyTypes ++ states.flatMap(_.types)), keys ++ states.flatMap(_.columns))
      val calls = raw.map { r =>
        val unread = r.states.map(s => ExpressionProto.unread(s.argumentType)).toSeq
        PlanProto.aggregateCall(r.function, unread, r.dataType, ignoreNulls = r.ignoreNulls)
      }
      val merge = (source: Message) =>
        PlanProto.relation(fields, PlanProto.aggregate(source, columns(keyTypes, 0), Nil, calls, AggregatePhase.Final))
      Right(Seq(projected(layout), merge))
    }

  private def projected(layer: Layer): Message => Message =
    below => PlanProto.relation(layer.fields, PlanProto.project(below, layer.expressions))

  // ------------------------------------------------------------- the projections above it

  /** Whether the engine's values are the buffers. */
  private def isPlain(step: Step): Boolean = {
    val raw = step.raw.indices.map(i => ExpressionProto.column(i, step.raw(i).dataType))
    isSame(step.buffer(raw), raw)
  }

  /** Whether a projection would give what it is given. */
  private def isSame(left: Seq[Message], right: Seq[Message]): Boolean =
    left.size == right.size && left.zip(right).forall { case (a, b) => a eq b }

  private def bufferLayer(keyTypes: Seq[Message], steps: Seq[Step]): Seq[Message] = {
    val starts = steps.scanLeft(keyTypes.size)(_ + _.raw.size)
    columns(keyTypes, 0) ++ steps.zip(starts).flatMap { case (step, start) => step.buffer(columns(step.raw.map(_.dataType), start)) }
  }

  /** What stands above the buffers: results and the node's own expressions, or nothing but the names of the buffers. */
  private def resultLayers(
      keyTypes: Seq[Message],
      parts: Seq[AggregateParts],
      bufferTypes: Seq[Seq[Message]]): Either[Refusal, Seq[Layer]] =
    if (functions.nonEmpty && !isFinal) bufferOutput(keyTypes ++ bufferTypes.flatten).map(Seq(_))
    else
      for {
        resultTypes <- types(functions.map(_.dataType))
        buffers = columns(keyTypes ++ bufferTypes.flatten, 0)
        results <- evaluated(keyTypes, parts, bufferTypes, buffers)
        output <- resultOutput
      } yield
        if (isSame(results, buffers)) Seq(output)
        else Seq(Layer(intermediate(keyTypes ++ resultTypes), results), output)

  private def evaluated(
      keyTypes: Seq[Message],
      parts: Seq[AggregateParts],
      bufferTypes: Seq[Seq[Message]],
      buffers: Seq[Message]): Either[Refusal, Seq[Message]] = {
    val starts = bufferTypes.scanLeft(keyTypes.size)(_ + _.size)
    Traversal
      .all(parts.indices)(i => parts(i).evaluate(buffers.slice(starts(i), starts(i + 1))))
      .map(buffers.take(keyTypes.size) ++ _)
  }

  private def resultOutput: Either[Refusal, Layer] = {
    val available = node.groupingExpressions.map(_.toAttribute) ++ node.aggregateAttributes
    for {
      fields <- DataTypes.fields(node.resultExpressions.map(_.toAttribute))
      expressions <- ExpressionConverter.convertAll(node.resultExpressions, available, subqueries)
    } yield Layer(fields, expressions)
  }

  /** A node that gives buffers gives keys and buffers in that order, whatever its result expressions are called. */
  private def bufferOutput(columnTypes: Seq[Message]): Either[Refusal, Layer] =
    if (node.resultExpressions.size != columnTypes.size) {
      val detail = s"${columnTypes.size} keys and buffers, but ${node.resultExpressions.size} columns of output"
      Left(Refusal("Aggregate", Refusal.Attribute, detail))
    } else DataTypes.fields(node.resultExpressions.map(_.toAttribute)).map(Layer(_, columns(columnTypes, 0)))

  // ------------------------------------------------------------- columns

  private def types(all: Seq[DataType]): Either[Refusal, Seq[Message]] = Traversal.all(all)(DataTypes.toProto)

  /** Columns of these types, the first at that ordinal. */
  private def columns(types: Seq[Message], start: Int): Seq[Message] =
    types.zipWithIndex.map { case (kind, i) => ExpressionProto.column(start + i, kind) }

  private def intermediate(types: Seq[Message]): Seq[Message] =
    types.zipWithIndex.map { case (kind, i) => PlanProto.field(s"c$i", kind, nullable = true) }
}

/** A projection that stands above an aggregation. */
private final case class Layer(fields: Seq[Message], expressions: Seq[Message])
