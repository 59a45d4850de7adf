package org.apache.spark.sql.plasmon.proto

import org.apache.spark.sql.plasmon.proto.{PlanNumbers => N}

/** Expressions and values of `plan.proto`; `dataType` is always the `Type` of what the expression gives. */
object ExpressionProto {

  def column(ordinal: Int, dataType: Message): Message = typed(dataType).put(N.Expression.column, ordinal.toLong)

  def literal(value: Message, dataType: Message): Message = typed(dataType).put(N.Expression.literal, value)

  /** The place of an argument in a phase that merges states. */
  def unread(dataType: Message): Message = typed(dataType).put(N.Expression.unread, true)

  def compare(op: EnumValue, left: Message, right: Message): Message =
    typed(TypeProto.boolean).put(
      N.Expression.compare,
      new Message().put(N.Compare.op, op).put(N.Compare.left, left).put(N.Compare.right, right))

  def and(operands: Seq[Message]): Message = typed(TypeProto.boolean).put(N.Expression.and, all(operands))

  def or(operands: Seq[Message]): Message = typed(TypeProto.boolean).put(N.Expression.or, all(operands))

  def not(operand: Message): Message = typed(TypeProto.boolean).put(N.Expression.not, operand)

  def isNull(operand: Message): Message = typed(TypeProto.boolean).put(N.Expression.isNull, operand)

  def isNotNull(operand: Message): Message = typed(TypeProto.boolean).put(N.Expression.isNotNull, operand)

  def arithmetic(op: EnumValue, overflow: EnumValue, left: Message, right: Message, dataType: Message): Message =
    typed(dataType).put(
      N.Expression.arithmetic,
      new Message()
        .put(N.Arithmetic.op, op)
        .put(N.Arithmetic.overflow, overflow)
        .put(N.Arithmetic.left, left)
        .put(N.Arithmetic.right, right))

  def negate(operand: Message, overflow: EnumValue, dataType: Message): Message =
    typed(dataType).put(
      N.Expression.negate,
      new Message().put(N.Negate.operand, operand).put(N.Negate.overflow, overflow))

  def cast(operand: Message, mode: EnumValue, dataType: Message): Message =
    typed(dataType).put(N.Expression.cast, new Message().put(N.Cast.operand, operand).put(N.Cast.mode, mode))

  /** The value of the first branch whose condition is true; else `otherwise`, else null. */
  def caseWhen(branches: Seq[(Message, Message)], otherwise: Option[Message], dataType: Message): Message = {
    val message = new Message().putAll(
      N.Case.branches,
      branches.map { case (when, value) => new Message().put(N.Branch.when, when).put(N.Branch.thenValue, value) })
    otherwise.foreach(message.put(N.Case.otherwise, _))
    typed(dataType).put(N.Expression.case_, message)
  }

  def inList(operand: Message, list: Seq[Message]): Message =
    typed(TypeProto.boolean).put(
      N.Expression.inList,
      new Message().put(N.InList.operand, operand).putAll(N.InList.list, list))

  /** `escape`: one character, or empty. */
  def like(operand: Message, pattern: Message, escape: String): Message =
    typed(TypeProto.boolean).put(
      N.Expression.like,
      new Message().put(N.Like.operand, operand).put(N.Like.pattern, pattern).put(N.Like.escape, escape))

  def call(name: String, arguments: Seq[Message], dataType: Message): Message =
    typed(dataType).put(
      N.Expression.call,
      new Message().put(N.Call.name, name).putAll(N.Call.arguments, arguments))

  private def typed(dataType: Message): Message = new Message().put(N.Expression.dataType, dataType)

  private def all(operands: Seq[Message]): Message = new Message().putAll(N.Operands.operands, operands)

  // ------------------------------------------------------------- values

  val nullValue: Message = new Message().put(N.Value.nullValue, true)

  def boolean(value: Boolean): Message = new Message().put(N.Value.boolean, value)

  /** Integers; dates, timestamps, durations and year-month intervals in their unit; decimals, unscaled, that fit. */
  def int64(value: Long): Message = new Message().put(N.Value.int64, value)

  /** A decimal, unscaled; one that fits 64 bits goes as an integer. */
  def decimal(unscaled: java.math.BigInteger): Message =
    if (unscaled.bitLength < 64) int64(unscaled.longValue)
    else new Message().put(N.Value.wide, littleEndian16(unscaled))

  def float32(value: Float): Message = new Message().put(N.Value.float32, value)

  def float64(value: Double): Message = new Message().put(N.Value.float64, value)

  /** UTF-8 for texts; binaries. */
  def bytes(value: Array[Byte]): Message = new Message().put(N.Value.binary, value)

  /** An interval whose parts do not convert into each other. */
  def interval(months: Int, days: Int, nanoseconds: Long): Message =
    new Message().put(
      N.Value.interval,
      new Message()
        .put(N.IntervalValue.months, months.toLong)
        .put(N.IntervalValue.days, days.toLong)
        .put(N.IntervalValue.nanoseconds, nanoseconds))

  /** A list; a map, whose elements are structs of key and value. */
  def list(elements: Seq[Message]): Message =
    new Message().put(N.Value.list, new Message().putAll(N.ListValue.elements, elements))

  def struct(fields: Seq[Message]): Message =
    new Message().put(N.Value.struct, new Message().putAll(N.StructValue.fields_, fields))

  private def littleEndian16(value: java.math.BigInteger): Array[Byte] = {
    val big = value.toByteArray
    val sign: Byte = if (value.signum < 0) -1 else 0
    Array.tabulate(16)(i => if (i < big.length) big(big.length - 1 - i) else sign)
  }
}

/** Types of `plan.proto`. */
object TypeProto {

  def simple(kind: EnumValue): Message = new Message().put(N.Type.simple, kind)

  val boolean: Message = simple(N.SimpleType.Boolean)

  def decimal(precision: Int, scale: Int, bits: Int = 128): Message =
    new Message().put(
      N.Type.decimal,
      new Message()
        .put(N.DecimalType.bits, bits.toLong)
        .put(N.DecimalType.precision, precision.toLong)
        .put(N.DecimalType.scale, scale.toLong))

  /** Microseconds, in a zone or without one. */
  def timestamp(zone: Option[String]): Message = {
    val message = new Message().put(N.TimestampType.unit, N.TimeUnit.Microsecond)
    zone.foreach(message.put(N.TimestampType.zone, _))
    new Message().put(N.Type.timestamp, message)
  }

  /** Microseconds. */
  val duration: Message = new Message().put(N.Type.duration, N.TimeUnit.Microsecond)

  def list(element: Message): Message = new Message().put(N.Type.list, element)

  def struct(fields: Seq[Message]): Message =
    new Message().put(N.Type.struct, new Message().putAll(N.StructType.fields_, fields))

  /** `entries`: a field that is a struct of key and value. */
  def map(entries: Message): Message = new Message().put(N.Type.map, new Message().put(N.MapType.entries, entries))
}
