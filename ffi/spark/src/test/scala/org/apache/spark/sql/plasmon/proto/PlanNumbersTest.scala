package org.apache.spark.sql.plasmon.proto

import org.scalatest.funsuite.AnyFunSuite

/** The numbers of the writer are those of `plan.proto`, the file that the engine is built with. */
class PlanNumbersTest extends AnyFunSuite {
  private val schema = ProtoSchema.plan

  PlanNumbers.messages.foreach { numbers =>
    test(s"message ${numbers.message}") {
      val declared = schema.messages(numbers.message)
      assert(numbers.fields.nonEmpty)
      numbers.fields.foreach { field =>
        val found = declared.find(_.name == field.name)
        assert(found.map(f => (f.number, f.kind)).contains((field.number, field.kind)), field.name)
        assert(isWrittenAs(field), s"${field.name} is of kind ${field.kind}")
      }
    }
  }

  PlanNumbers.enumerations.foreach { numbers =>
    test(s"enum ${numbers.enumeration}") {
      val declared = schema.enumerations(numbers.enumeration)
      assert(numbers.values.nonEmpty)
      numbers.values.foreach(value => assert(declared.get(value.name).contains(value.number), value.name))
    }
  }

  test("the version is one that the file has") {
    val versions = "this file is version (\\d+)".r
    val text = java.nio.file.Files.readString(ProtoSchema.path)
    assert(versions.findFirstMatchIn(text).exists(_.group(1).toInt >= PlanProto.Version))
  }

  private def isWrittenAs(field: ProtoField): Boolean = field match {
    case VarintField(_, _, kind) => Set("uint32", "uint64", "bool").contains(kind) || schema.enumerations.contains(kind)
    case ZigzagField(_, _, kind) => Set("sint32", "sint64").contains(kind)
    case FixedField(_, _, kind) => Set("float", "double").contains(kind)
    case BytesField(_, _, kind) => Set("string", "bytes").contains(kind)
    case MessageField(_, _, kind) => schema.messages.contains(kind)
  }
}
