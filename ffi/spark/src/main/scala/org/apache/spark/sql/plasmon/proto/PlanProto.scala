package org.apache.spark.sql.plasmon.proto

import org.apache.spark.sql.plasmon.proto.{PlanNumbers => N}

/** What a relation does: the message of its node, and the field of `Relation` that holds it. */
final case class Node(field: MessageField, message: Message)

/** A part of a file as Spark has planned it; values are `Value`s, one per partition column. Offsets and lengths in bytes. */
final case class Split(path: String, start: Long, length: Long, partitionValues: Seq[Message])

/**
 * Plans, tables and relations of `plan.proto`. Every function builds one message of the messages that it holds; nothing is checked here,
 * because the reader checks a plan as a whole.
 */
object PlanProto {

  /** The lowest version of the format that has all that plans of the plug-in use. */
  val Version = 2

  def plan(
      root: Message,
      tables: Seq[Message],
      shared: Seq[Message] = Nil,
      subqueries: Seq[Message] = Nil,
      version: Int = Version): Message =
    new Message()
      .put(N.Plan.version, version.toLong)
      .putAll(N.Plan.tables, tables)
      .putAll(N.Plan.shared, shared)
      .putAll(N.Plan.subqueries, subqueries)
      .put(N.Plan.root, root)

  /** A column, an element, a field of a struct. */
  def field(name: String, dataType: Message, nullable: Boolean): Message =
    new Message().put(N.Field.name, name).put(N.Field.dataType, dataType).put(N.Field.nullable, nullable)

  // ------------------------------------------------------------- tables

  /** A table that is bound to the statement under this name. */
  def namedTable(name: String, fields: Seq[Message]): Message =
    new Message().put(N.Table.named, new Message().put(N.NamedTable.parts, name)).putAll(N.Table.fields_, fields)

  /** Parts of Parquet files; the last `partitionColumns` of the fields are in the splits and not in the files. */
  def splitsTable(splits: Seq[Split], partitionColumns: Int, caseSensitive: Boolean, fields: Seq[Message]): Message = {
    val parts = splits.map { split =>
      new Message()
        .put(N.FileSplit.path, split.path)
        .put(N.FileSplit.start, split.start)
        .put(N.FileSplit.length, split.length)
        .putAll(N.FileSplit.partitionValues, split.partitionValues)
    }
    val files = new Message()
      .putAll(N.FileSplits.splits, parts)
      .put(N.FileSplits.partitionColumns, partitionColumns.toLong)
      .put(N.FileSplits.caseSensitive, caseSensitive)
      .put(N.FileSplits.format, "parquet")
    new Message().put(N.Table.splits, files).putAll(N.Table.fields_, fields)
  }

  // ------------------------------------------------------------- relations

  /** An operator that gives these fields. */
  def relation(fields: Seq[Message], node: Node): Message =
    new Message().putAll(N.Relation.fields_, fields).put(node.field, node.message)

  /** Columns of a table by ordinal, of the rows for which all filters (over the table's columns) are true. */
  def scan(table: Int, projection: Seq[Int], filters: Seq[Message] = Nil, fetch: Option[Long] = None): Node = {
    val message = new Message()
      .put(N.Scan.table, table.toLong)
      .putAll(N.Scan.projection, projection.map(_.toLong))
      .putAll(N.Scan.filters, filters)
    fetch.foreach(message.put(N.Scan.fetch, _))
    Node(N.Relation.scan, message)
  }

  def values(rows: Seq[Seq[Message]]): Node =
    Node(N.Relation.values, new Message().putAll(N.Values.rows, rows.map(new Message().putAll(N.Row.values, _))))

  /** No columns, and no row or one. */
  def empty(oneRow: Boolean): Node = Node(N.Relation.empty, new Message().put(N.Empty.oneRow, oneRow))

  def filter(input: Message, predicate: Message): Node =
    Node(N.Relation.filter, new Message().put(N.Filter.input, input).put(N.Filter.predicate, predicate))

  def project(input: Message, expressions: Seq[Message]): Node =
    Node(N.Relation.project, new Message().put(N.Project.input, input).putAll(N.Project.expressions, expressions))

  /** Several rows of every row, one for each projection. */
  def expand(input: Message, projections: Seq[Seq[Message]]): Node =
    Node(
      N.Relation.expand,
      new Message().put(N.Expand.input, input).putAll(N.Expand.projections, projections.map(new Message().putAll(N.Row.values, _))))

  /** The right input is built into a table, the left one probes it. `projection`: ordinals of the output that anything reads; None = all. */
  def join(
      left: Message,
      right: Message,
      kind: EnumValue,
      keys: Seq[Message],
      residual: Option[Message] = None,
      nullAware: Boolean = false,
      projection: Option[Seq[Int]] = None,
      cachedBuild: Option[String] = None): Node = {
    val message = new Message().put(N.Join.left, left).put(N.Join.right, right).put(N.Join.kind, kind).putAll(N.Join.keys, keys)
    residual.foreach(message.put(N.Join.residual, _))
    message.put(N.Join.nullAware, nullAware)
    projection.foreach { kept =>
      message.put(N.Join.projection, new Message().putAll(N.Ordinals.ordinals, kept.map(_.toLong)))
    }
    cachedBuild.foreach(message.put(N.Join.cachedBuild, _))
    Node(N.Relation.join, message)
  }

  def joinKey(left: Message, right: Message, nullEqual: Boolean = false): Message =
    new Message().put(N.JoinKey.left, left).put(N.JoinKey.right, right).put(N.JoinKey.nullEqual, nullEqual)

  /** `groupingSets`: for each set, which keys it keeps; empty = GROUP BY all keys. */
  def aggregate(
      input: Message,
      groupBy: Seq[Message],
      groupingSets: Seq[Seq[Boolean]],
      calls: Seq[Message],
      phase: EnumValue): Node = {
    val sets = groupingSets.map(keeps => new Message().putAll(N.GroupingSet.keeps, keeps.map(if (_) 1L else 0L)))
    val message = new Message()
      .put(N.Aggregate.input, input)
      .putAll(N.Aggregate.groupBy, groupBy)
      .putAll(N.Aggregate.groupingSets, sets)
      .putAll(N.Aggregate.aggregates, calls)
      .put(N.Aggregate.phase, phase)
    Node(N.Relation.aggregate, message)
  }

  /** A call of one of the engine's own aggregate functions. */
  def aggregateCall(
      function: EnumValue,
      arguments: Seq[Message],
      dataType: Message,
      filter: Option[Message] = None,
      ignoreNulls: Boolean = false): Message =
    call(nativeFunction(function, ignoreNulls), arguments, dataType, filter)

  /** One of the engine's own aggregate functions. */
  def nativeFunction(function: EnumValue, ignoreNulls: Boolean = false): Message =
    new Message().put(N.AggregateFunction.native, function).put(N.AggregateFunction.ignoreNulls, ignoreNulls)

  private def call(function: Message, arguments: Seq[Message], dataType: Message, filter: Option[Message]): Message = {
    val message = new Message().put(N.AggregateCall.function, function).putAll(N.AggregateCall.arguments, arguments)
    filter.foreach(message.put(N.AggregateCall.filter, _))
    message.put(N.AggregateCall.dataType, dataType)
  }

  def sortKey(expression: Message, descending: Boolean, nullsFirst: Boolean): Message =
    new Message()
      .put(N.SortKey.expression, expression)
      .put(N.SortKey.descending, descending)
      .put(N.SortKey.nullsFirst, nullsFirst)

  /** All rows in order, or `fetch` rows behind the first `offset`. */
  def sort(input: Message, keys: Seq[Message], offset: Long = 0, fetch: Option[Long] = None): Node = {
    val message = new Message().put(N.Sort.input, input).putAll(N.Sort.keys, keys).put(N.Sort.offset, offset)
    fetch.foreach(message.put(N.Sort.fetch, _))
    Node(N.Relation.sort, message)
  }

  def limit(input: Message, offset: Long, fetch: Option[Long]): Node = {
    val message = new Message().put(N.Limit.input, input).put(N.Limit.offset, offset)
    fetch.foreach(message.put(N.Limit.fetch, _))
    Node(N.Relation.limit, message)
  }

  /** A row for each element of the longest list of a row. `preserveNulls`: a row whose lists are all null still gives one. */
  def unnest(input: Message, outputs: Seq[Message], preserveNulls: Boolean): Node =
    Node(
      N.Relation.unnest,
      new Message().put(N.Unnest.input, input).putAll(N.Unnest.outputs, outputs).put(N.Unnest.preserveNulls, preserveNulls))

  /** An input column, repeated. */
  def unnestKeep(column: Int): Message = unnestOutput(column).put(N.UnnestOutput.keep, true)

  /** The elements of a list column. */
  def unnestElements(column: Int): Message = unnestOutput(column).put(N.UnnestOutput.listDepth, 1L)

  /** The numbers of these, from 0. */
  def unnestPosition(column: Int): Message = unnestOutput(column).put(N.UnnestOutput.position, true)

  private def unnestOutput(column: Int): Message = new Message().put(N.UnnestOutput.column, column.toLong)

  def window(input: Message, partitionBy: Seq[Message], orderBy: Seq[Message], functions: Seq[Message]): Node =
    Node(
      N.Relation.window,
      new Message()
        .put(N.Window.input, input)
        .putAll(N.Window.partitionBy, partitionBy)
        .putAll(N.Window.orderBy, orderBy)
        .putAll(N.Window.functions, functions))

  /** A window function of the engine (`native`) or an aggregate function (a message of `nativeFunction`). */
  def windowCall(
      function: Either[EnumValue, Message],
      arguments: Seq[Message],
      frame: Message,
      dataType: Message,
      filter: Option[Message] = None,
      ignoreNulls: Boolean = false): Message = {
    val message = function.fold(new Message().put(N.WindowCall.native, _), new Message().put(N.WindowCall.aggregate, _))
    message.putAll(N.WindowCall.arguments, arguments).put(N.WindowCall.frame, frame)
    filter.foreach(message.put(N.WindowCall.filter, _))
    message.put(N.WindowCall.ignoreNulls, ignoreNulls).put(N.WindowCall.dataType, dataType)
  }

  def frame(units: EnumValue, start: Message, end: Message): Message =
    new Message().put(N.Frame.units, units).put(N.Frame.start, start).put(N.Frame.end, end)

  val unboundedPreceding: Message = new Message().put(N.FrameBound.unboundedPreceding, true)
  val currentRow: Message = new Message().put(N.FrameBound.currentRow, true)
  val unboundedFollowing: Message = new Message().put(N.FrameBound.unboundedFollowing, true)
  def preceding(distance: Message): Message = new Message().put(N.FrameBound.preceding, distance)
  def following(distance: Message): Message = new Message().put(N.FrameBound.following, distance)
}
