package org.apache.spark.sql.plasmon.proto

import java.math.BigInteger

import org.apache.spark.sql.plasmon.proto.PlanNumbers.{Call, SimpleType, Value}
import org.scalatest.funsuite.AnyFunSuite

class MessageTest extends AnyFunSuite {

  private def hex(message: Message) = message.bytes.map(b => f"$b%02x").mkString

  test("varints of every length, and the sign in the lowest bit") {
    assert(hex(new Message().put(PlanNumbers.Plan.version, 300L)) == "08ac02")
    assert(hex(ExpressionProto.int64(0)) == "1800")
    assert(hex(ExpressionProto.int64(-1)) == "1801")
    assert(hex(ExpressionProto.int64(Long.MinValue)) == "18ffffffffffffffffff01")
    val roundTrips = Seq(0L, 1L, -1L, 63L, 64L, -64L, -65L, 1L << 34, Long.MaxValue, Long.MinValue)
    roundTrips.foreach(v => assert(ProtoSchema.plan.show("Value", ExpressionProto.int64(v).bytes) == s"int64: $v"))
  }

  test("floats are little-endian") {
    assert(hex(ExpressionProto.float64(1.0)) == "39000000000000f03f")
    assert(hex(ExpressionProto.float32(-0.0f)) == "3500000080")
  }

  test("a number of field 16 and above takes two bytes of tag") {
    assert(hex(new Message().put(Call.name, "a")) == "0a0161")
    assert(hex(ExpressionProto.call("f", Nil, TypeProto.simple(SimpleType.Int64))) == "0a020806" + "9a01" + "030a0166")
  }

  test("lengths are those of what they measure, however deep and long") {
    val long = "x" * 300
    var message = ExpressionProto.bytes(long.getBytes)
    var expected = s"bytes: '$long'"
    (0 until 50).foreach { _ =>
      message = ExpressionProto.list(Seq(message, ExpressionProto.nullValue))
      expected = s"list {elements {$expected} elements {null: true}}"
    }
    assert(ProtoSchema.plan.show("Value", message.bytes) == expected)
  }

  test("decimals that do not fit 64 bits are 16 bytes, little-endian, with their sign") {
    def show(value: BigInteger) = ProtoSchema.plan.show("Value", ExpressionProto.decimal(value).bytes)
    val two64 = BigInteger.ONE.shiftLeft(64)
    assert(show(BigInteger.valueOf(Long.MinValue)) == s"int64: ${Long.MinValue}")
    assert(show(two64) == "wide: 0x00000000000000000100000000000000")
    assert(show(two64.negate.subtract(BigInteger.ONE)) == "wide: 0xfffffffffffffffffeffffffffffffff")
  }

  test("repeated numbers are packed") {
    assert(hex(PlanProto.scan(3, Seq(1, 300)).message) == "0803" + "1203" + "01ac02")
    assert(ProtoSchema.plan.show("Scan", PlanProto.scan(3, Seq(1, 300), fetch = Some(5)).message.bytes) ==
      "table: 3 projection: [1, 300] fetch: 5")
    assert(hex(new Message().putAll(PlanNumbers.Scan.projection, Nil)) == "")
  }

  test("a null of a type") {
    val nothing = ExpressionProto.literal(new Message().put(Value.nullValue, true), TypeProto.decimal(10, 2))
    assert(ProtoSchema.plan.show("Expression", nothing.bytes) ==
      "type {decimal {bits: 128 precision: 10 scale: 2}} literal {null: true}")
  }
}
