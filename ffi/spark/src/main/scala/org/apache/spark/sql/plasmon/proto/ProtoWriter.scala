package org.apache.spark.sql.plasmon.proto

import java.nio.charset.StandardCharsets.UTF_8

import scala.collection.mutable.ArrayBuffer

/**
 * A field of a message as `plan.proto` declares it. `kind` is the declared type: a scalar's name, or that of a message or enum.
 * The number and the kind are held against the text of `plan.proto` by a test.
 */
sealed abstract class ProtoField {
  def name: String
  def number: Int
  def kind: String
}

/** `uint32`, `uint64`, `bool` and enums: unsigned varints. */
final case class VarintField(name: String, number: Int, kind: String) extends ProtoField

/** `sint32` and `sint64`: varints with the sign in the lowest bit. */
final case class ZigzagField(name: String, number: Int, kind: String) extends ProtoField

/** `float` (four bytes) and `double` (eight), little-endian. */
final case class FixedField(name: String, number: Int, kind: String) extends ProtoField

/** `string` and `bytes`. */
final case class BytesField(name: String, number: Int, kind: String) extends ProtoField

/** A message inside of a message. */
final case class MessageField(name: String, number: Int, kind: String) extends ProtoField

/** Where bytes are written: an array that grows, filled front to back in one pass. */
private[proto] final class ByteSink(capacity: Int) {
  private var buffer = new Array[Byte](capacity)
  private var length = 0

  def byte(value: Int): Unit = {
    room(1)
    buffer(length) = value.toByte
    length += 1
  }

  def varint(value: Long): Unit = {
    var rest = value
    while ((rest & ~0x7fL) != 0) {
      byte((rest & 0x7f).toInt | 0x80)
      rest >>>= 7
    }
    byte(rest.toInt)
  }

  def littleEndian(value: Long, count: Int): Unit = (0 until count).foreach(i => byte((value >>> (8 * i)).toInt))

  def bytes(value: Array[Byte]): Unit = {
    room(value.length)
    System.arraycopy(value, 0, buffer, length, value.length)
    length += value.length
  }

  def result: Array[Byte] = if (length == buffer.length) buffer else java.util.Arrays.copyOf(buffer, length)

  private def room(more: Int): Unit =
    if (length + more > buffer.length) {
      buffer = java.util.Arrays.copyOf(buffer, math.max(length + more, 2 * buffer.length))
    }
}

/**
 * A protobuf message under construction. Fields are written in the order in which they are put; a value that proto3 leaves out (zero, false,
 * empty) is written where it is put, which every reader takes. A message must not change once it was put into another one or its bytes were asked for.
 */
final class Message {
  import Message._

  private val parts = ArrayBuffer.empty[Part]

  /** Bytes of the fields; counted once, so that lengths can stand before what they measure. */
  private lazy val size: Int = parts.iterator.map(_.size).sum

  def put(field: VarintField, value: Long): this.type = add(Varint(field.number, value))

  def put(field: VarintField, value: Boolean): this.type = put(field, if (value) 1L else 0L)

  def put(field: VarintField, value: EnumValue): this.type = put(field, value.number.toLong)

  def put(field: ZigzagField, value: Long): this.type = add(Varint(field.number, (value << 1) ^ (value >> 63)))

  def put(field: FixedField, value: Float): this.type =
    add(Fixed(field.number, java.lang.Float.floatToRawIntBits(value).toLong, 4))

  def put(field: FixedField, value: Double): this.type =
    add(Fixed(field.number, java.lang.Double.doubleToRawLongBits(value), 8))

  def put(field: BytesField, value: String): this.type = put(field, value.getBytes(UTF_8))

  def put(field: BytesField, value: Array[Byte]): this.type = add(Bytes(field.number, value))

  def put(field: MessageField, value: Message): this.type = add(Nested(field.number, value))

  /** One after the other, each with its tag. */
  def putAll(field: MessageField, values: Iterable[Message]): this.type = {
    values.foreach(put(field, _))
    this
  }

  /** Packed, as proto3 writes repeated numbers. */
  def putAll(field: VarintField, values: Iterable[Long]): this.type =
    if (values.isEmpty) this
    else {
      val sink = new ByteSink(values.size)
      values.foreach(sink.varint)
      add(Bytes(field.number, sink.result))
    }

  /** The message as it goes over the wire. */
  def bytes: Array[Byte] = {
    val sink = new ByteSink(size)
    write(sink)
    sink.result
  }

  private def write(sink: ByteSink): Unit = parts.foreach(_.write(sink))

  private def add(part: Part): this.type = {
    parts += part
    this
  }
}

object Message {
  /** A message that was written before, to which more fields may be put. */
  def ofBytes(encoded: Array[Byte]): Message = new Message().add(Encoded(encoded))

  private sealed trait Part { def size: Int; def write(sink: ByteSink): Unit }

  private final case class Varint(number: Int, value: Long) extends Part {
    def size: Int = tagSize(number) + varintSize(value)
    def write(sink: ByteSink): Unit = { sink.varint(number << 3); sink.varint(value) }
  }

  private final case class Fixed(number: Int, bits: Long, count: Int) extends Part {
    def size: Int = tagSize(number) + count
    def write(sink: ByteSink): Unit = {
      sink.varint(number << 3 | (if (count == 4) 5 else 1))
      sink.littleEndian(bits, count)
    }
  }

  private final case class Bytes(number: Int, value: Array[Byte]) extends Part {
    def size: Int = tagSize(number) + varintSize(value.length) + value.length
    def write(sink: ByteSink): Unit = { sink.varint(number << 3 | 2); sink.varint(value.length); sink.bytes(value) }
  }

  private final case class Nested(number: Int, message: Message) extends Part {
    def size: Int = tagSize(number) + varintSize(message.size) + message.size
    def write(sink: ByteSink): Unit = { sink.varint(number << 3 | 2); sink.varint(message.size); message.write(sink) }
  }

  private final case class Encoded(value: Array[Byte]) extends Part {
    def size: Int = value.length
    def write(sink: ByteSink): Unit = sink.bytes(value)
  }

  private def tagSize(number: Int): Int = varintSize(number.toLong << 3)

  private def varintSize(value: Long): Int = math.max(1, (70 - java.lang.Long.numberOfLeadingZeros(value)) / 7)
}

/** A value of an enum of `plan.proto`. */
final case class EnumValue(name: String, number: Int)

/** The field numbers of one message of `plan.proto`. */
abstract class MessageNumbers(val message: String) {
  private val all = ArrayBuffer.empty[ProtoField]

  /** The fields declared here. */
  def fields: Seq[ProtoField] = all.toSeq

  protected def varint(name: String, number: Int, kind: String): VarintField = keep(VarintField(name, number, kind))
  protected def uint32(name: String, number: Int): VarintField = varint(name, number, "uint32")
  protected def uint64(name: String, number: Int): VarintField = varint(name, number, "uint64")
  protected def bool(name: String, number: Int): VarintField = varint(name, number, "bool")
  protected def sint32(name: String, number: Int): ZigzagField = keep(ZigzagField(name, number, "sint32"))
  protected def sint64(name: String, number: Int): ZigzagField = keep(ZigzagField(name, number, "sint64"))
  protected def float(name: String, number: Int): FixedField = keep(FixedField(name, number, "float"))
  protected def double(name: String, number: Int): FixedField = keep(FixedField(name, number, "double"))
  protected def string(name: String, number: Int): BytesField = keep(BytesField(name, number, "string"))
  protected def bytes(name: String, number: Int): BytesField = keep(BytesField(name, number, "bytes"))
  protected def nested(name: String, number: Int, kind: String): MessageField = keep(MessageField(name, number, kind))

  private def keep[F <: ProtoField](field: F): F = {
    all += field
    field
  }
}

/** The values of one enum of `plan.proto`, whose names begin with `prefix`. */
abstract class EnumNumbers(val enumeration: String, prefix: String) {
  private val all = ArrayBuffer.empty[EnumValue]

  /** The values declared here. */
  def values: Seq[EnumValue] = all.toSeq

  protected def value(name: String, number: Int): EnumValue = {
    val value = EnumValue(s"${prefix}_$name", number)
    all += value
    value
  }
}
