package org.apache.spark.sql.plasmon.proto

import java.nio.{ByteBuffer, ByteOrder}
import java.nio.charset.StandardCharsets.UTF_8
import java.nio.file.{Files, Path}

import scala.collection.mutable

/** The text of `plan.proto`: enough of a reader to hold numbers against it and to show messages. */
final class ProtoSchema(text: String) {

  /** A field as it is declared. */
  case class Declared(name: String, number: Int, kind: String, repeated: Boolean)

  /** Fields of each message, by its name. */
  val messages: Map[String, Seq[Declared]] = blocks("message").map { case (name, body) => name -> fields(body) }

  /** Numbers of the values of each enum, by its name. */
  val enumerations: Map[String, Map[String, Int]] = blocks("enum").map { case (name, body) =>
    name -> """(\w+)\s*=\s*(\d+);""".r.findAllMatchIn(body).map(m => m.group(1) -> m.group(2).toInt).toMap
  }

  private def blocks(kind: String): Map[String, String] = {
    val plain = text.linesIterator.map(_.replaceAll("//.*", "")).mkString("\n")
    s"""(?m)^$kind (\\w+) \\{([\\s\\S]*?)\\n\\}""".r.findAllMatchIn(plain).map(m => m.group(1) -> m.group(2)).toMap
  }

  private def fields(body: String): Seq[Declared] =
    """(repeated |optional )?(\w+) (\w+) = (\d+);""".r
      .findAllMatchIn(body)
      .map(m => Declared(m.group(3), m.group(4).toInt, m.group(2), m.group(1) == "repeated "))
      .toSeq

  /** A message in one line: `name: value`, and `name {…}` for messages inside of it. Fails on a field that is not declared or not written as its kind is. */
  def show(message: String, bytes: Array[Byte]): String = {
    val in = ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN)
    val parts = mutable.ArrayBuffer.empty[String]
    while (in.hasRemaining) {
      val tag = varint(in)
      val field = messages(message).find(_.number == (tag >>> 3)).getOrElse(sys.error(s"$message has no field ${tag >>> 3}"))
      parts += value(field, (tag & 7).toInt, in, message)
    }
    parts.mkString(" ")
  }

  private def value(field: Declared, wire: Int, in: ByteBuffer, message: String): String = (wire, field.kind) match {
    case (0, "sint32" | "sint64") =>
      val raw = varint(in)
      s"${field.name}: ${(raw >>> 1) ^ -(raw & 1)}"
    case (0, "bool") => s"${field.name}: ${varint(in) != 0}"
    case (0, "uint32" | "uint64") => s"${field.name}: ${java.lang.Long.toUnsignedString(varint(in))}"
    case (0, enumeration) =>
      val number = varint(in).toInt
      s"${field.name}: ${enumerations(enumeration).collectFirst { case (name, `number`) => name }.get}"
    case (1, "double") => s"${field.name}: ${in.getDouble}"
    case (5, "float") => s"${field.name}: ${in.getFloat}"
    case (2, kind) =>
      val bytes = new Array[Byte](varint(in).toInt)
      in.get(bytes)
      kind match {
        case "string" => s"${field.name}: '${new String(bytes, UTF_8)}'"
        case "bytes" if message == "Value" && field.name == "bytes" => s"${field.name}: '${new String(bytes, UTF_8)}'"
        case "bytes" => s"${field.name}: 0x${bytes.map(b => f"$b%02x").mkString}"
        case "uint32" | "uint64" | "bool" => s"${field.name}: [${packed(bytes)}]"
        case nested if messages.contains(nested) => s"${field.name} {${show(nested, bytes)}}"
        case other => sys.error(s"$message.${field.name}: $other is not written with a length")
      }
    case (other, kind) => sys.error(s"$message.${field.name}: $kind is not written with wire type $other")
  }

  private def packed(bytes: Array[Byte]): String = {
    val in = ByteBuffer.wrap(bytes)
    val numbers = mutable.ArrayBuffer.empty[Long]
    while (in.hasRemaining) numbers += varint(in)
    numbers.mkString(", ")
  }

  private def varint(in: ByteBuffer): Long = {
    var (value, shift, more) = (0L, 0, true)
    while (more) {
      val byte = in.get()
      value |= (byte & 0x7fL) << shift
      shift += 7
      more = byte < 0
    }
    value
  }
}

object ProtoSchema {
  /** The file that the engine is built with. */
  lazy val path: Path = find(Path.of("").toAbsolutePath)

  /** What it declares. */
  lazy val plan: ProtoSchema = new ProtoSchema(Files.readString(path))

  private def find(folder: Path): Path = {
    val file = folder.resolve("engine/plan/proto/plan.proto")
    if (Files.exists(file)) file
    else find(Option(folder.getParent).getOrElse(sys.error("engine/plan/proto/plan.proto is above no folder of this one")))
  }
}
