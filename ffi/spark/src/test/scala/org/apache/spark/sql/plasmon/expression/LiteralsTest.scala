package org.apache.spark.sql.plasmon.expression

import org.apache.spark.sql.catalyst.expressions.Literal
import org.apache.spark.sql.types.{DataTypes => _, _}
import org.apache.spark.unsafe.types.UTF8String
import org.scalatest.funsuite.AnyFunSuite

class LiteralsTest extends AnyFunSuite {

  private def shown(sql: String): String = {
    val (expressions, input) = Queries.expressions(s"$sql AS result")
    val value = expressions.head.children.head.eval()
    ExpressionConverter.convert(Literal.create(value, expressions.head.dataType), input).fold(r => fail(r.toString), Queries.show)
  }

  test("constants of every type") {
    assert(shown("true") == "type {simple: SIMPLE_TYPE_BOOLEAN} literal {boolean: true}")
    assert(shown("-5S") == "type {simple: SIMPLE_TYPE_INT16} literal {int64: -5}")
    assert(shown("1.5D") == "type {simple: SIMPLE_TYPE_FLOAT64} literal {float64: 1.5}")
    assert(shown("1.50BD") == "type {decimal {bits: 128 precision: 3 scale: 2}} literal {int64: 150}")
    assert(shown("'é'") == "type {simple: SIMPLE_TYPE_UTF8} literal {bytes: 'é'}")
    assert(shown("DATE '1970-01-03'") == "type {simple: SIMPLE_TYPE_DATE32} literal {int64: 2}")
    assert(shown("TIMESTAMP '1970-01-01 00:00:01 UTC'") ==
      "type {timestamp {unit: TIME_UNIT_MICROSECOND zone: 'UTC'}} literal {int64: 1000000}")
    assert(shown("TIMESTAMP_NTZ '1970-01-01 00:00:01'") ==
      "type {timestamp {unit: TIME_UNIT_MICROSECOND}} literal {int64: 1000000}")
    assert(shown("INTERVAL '1' SECOND") == "type {duration: TIME_UNIT_MICROSECOND} literal {int64: 1000000}")
    assert(shown("INTERVAL '2' YEAR") == "type {simple: SIMPLE_TYPE_INTERVAL_YEAR_MONTH} literal {int64: 24}")
  }

  test("nested constants") {
    assert(shown("array(1, NULL)").endsWith("literal {list {elements {int64: 1} elements {null: true}}}"))
    assert(shown("named_struct('a', 1, 'b', 'x')").endsWith("literal {struct {fields {int64: 1} fields {bytes: 'x'}}}"))
    assert(shown("map('k', 2L)").endsWith("literal {list {elements {struct {fields {bytes: 'k'} fields {int64: 2}}}}}"))
  }

  test("a decimal goes with the scale of its type") {
    val text = ExpressionConverter.convert(Literal(Decimal(5), DecimalType(10, 3)), Nil).map(Queries.show)
    assert(text.exists(_.endsWith("literal {int64: 5000}")))
    val large = ExpressionConverter.convert(Literal(Decimal(12345), DecimalType(4, 0)), Nil)
    assert(large.left.toOption.map(_.reason).contains(Refusal.OperandType))
  }

  test("a string that is no UTF-8 is refused") {
    val broken = Literal(UTF8String.fromBytes(Array(0xff.toByte)), StringType)
    assert(ExpressionConverter.convert(broken, Nil).left.toOption.map(_.reason).contains(Refusal.Argument))
  }

  test("types that the engine lacks are refused, also inside of others") {
    Seq(CalendarIntervalType, VariantType, ArrayType(VariantType), StructType(Nil)).foreach { dataType =>
      assert(DataTypes.toProto(dataType).left.toOption.map(_.reason).contains(Refusal.DataType), dataType.simpleString)
    }
  }
}
