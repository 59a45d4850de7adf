package org.apache.spark.sql.plasmon.expression

import org.apache.spark.sql.catalyst.expressions.{Add, AttributeReference, EvalMode, Expression, Literal}
import org.apache.spark.sql.types.{IntegerType, StringType}
import org.scalatest.funsuite.AnyFunSuite

class ExpressionConverterTest extends AnyFunSuite {
  import Queries.{converted, withSetting}

  private val Ansi = "spark.sql.ansi.enabled"

  /** What stands in the message, types apart. */
  private def has(expression: String, parts: String*): Unit = {
    val text = converted(expression).fold(refusal => fail(refusal.toString), identity)
    parts.foreach(part => assert(text.contains(part), s"in the form of $expression"))
  }

  private def refused(expression: String, reason: String, node: String): Unit = converted(expression) match {
    case Left(refusal) => assert((refusal.reason, refusal.node) == ((reason, node)), refusal.toString)
    case Right(text) => fail(s"$expression is not refused: $text")
  }

  test("a column is its ordinal in the input, whatever its name") {
    val (expressions, input) = Queries.expressions("i64 + i32 AS result")
    val reversed = input.reverse
    val text = Queries.show(ExpressionConverter.convert(expressions.head, reversed).toOption.get)
    val ordinal = reversed.indexWhere(_.name == "i64")
    assert(text.contains(s"left {type {simple: SIMPLE_TYPE_INT64} column: $ordinal}"))
  }

  test("an attribute that the input lacks is refused") {
    val refusal = ExpressionConverter.convert(AttributeReference("gone", IntegerType)(), Nil)
    assert(refusal.left.toOption.map(_.reason).contains(Refusal.Attribute))
  }

  test("integers: overflow fails, wraps or is null, as the mode says") {
    withSetting(Ansi, "true")(has("i32 + i32", "op: ARITHMETIC_OP_ADD overflow: OVERFLOW_FAIL"))
    withSetting(Ansi, "false")(has("i32 * i32", "op: ARITHMETIC_OP_MULTIPLY overflow: OVERFLOW_WRAP"))
    has("try_subtract(i64, i64)", "op: ARITHMETIC_OP_SUBTRACT overflow: OVERFLOW_NULL")
    withSetting(Ansi, "true")(has("-i32", "negate", "OVERFLOW_FAIL"))
    withSetting(Ansi, "false")(has("-i32", "negate", "OVERFLOW_WRAP"))
  }

  test("a quotient of longs that does not fit wraps around in legacy mode alone") {
    withSetting(Ansi, "false")(has("i64 div i64", "literal {int64: -1}", "negate", "OVERFLOW_WRAP", "OVERFLOW_NULL"))
    withSetting(Ansi, "true")(has("i64 div i64", "op: ARITHMETIC_OP_DIVIDE overflow: OVERFLOW_FAIL"))
  }

  test("doubles are not divided by zero") {
    withSetting(Ansi, "false")(has("f64 / f64", "case {branches {when {type {simple: SIMPLE_TYPE_BOOLEAN} not {"))
    withSetting(Ansi, "true")(has("f64 / f64", "overflow: OVERFLOW_FAIL", "is_not_null"))
  }

  test("decimals whose type is cut down to 38 digits are computed in 76 and fitted; others at once") {
    withSetting(Ansi, "true") {
      has("d10 * d10", "type {decimal {bits: 128 precision: 21 scale: 4}} arithmetic")
      has("d38 * d10", "precision: 38 scale: 6}} cast", "mode: CAST_MODE_FAIL", "bits: 256 precision: 76 scale: 12}} arithmetic")
      has("d38 + d38", "precision: 38 scale: 9}} cast", "precision: 76 scale: 10}} arithmetic")
    }
    withSetting(Ansi, "false")(has("d38 * d10", "mode: CAST_MODE_NULL", "overflow: OVERFLOW_NULL"))
  }

  test("quotients of decimals are rounded as often as Spark rounds them") {
    has("d7 / d7", "type {decimal {bits: 128 precision: 17 scale: 10}} arithmetic")
    // 28 digits of the divisor: first to 39 digits behind the point.
    has("d10 / CAST(d38 AS DECIMAL(28, 0))", "bits: 256 precision: 76 scale: 39}} arithmetic", "} cast {")
    withSetting(Ansi, "true")(has("d38 / d38", "name: 'spark_decimal_divide_ansi'"))
  }

  test("AND and OR are flat") {
    has("flag AND i32 > 1 AND i64 > 2", "and {operands {", "} operands {")
    val text = converted("flag OR i32 > 1 OR i64 > 2 OR i8 = 0").toOption.get
    assert("operands \\{".r.findAllIn(text).size == 4)
  }

  test("comparisons and membership") {
    has("i32 <=> i16", "op: COMPARE_OP_NOT_DISTINCT_FROM")
    has("s IN ('a', NULL, 'b')", "in_list", "literal {bytes: 'a'}", "literal {null: true}")
    has("i32 IN (1,2,3,4,5,6,7,8,9,10,11,12)", "in_list", "literal {int64: 12}")
    refused("a = array(1L)", Refusal.OperandType, "AttributeReference")
  }

  test("choices") {
    has("IF(flag, i32, 0)", "case {branches {when {", "otherwise {")
    has("CASE WHEN flag THEN 1 END", "case {branches {when {")
  }

  test("casts that are the engine's own, and those by function") {
    has("CAST(i32 AS BIGINT)", "SIMPLE_TYPE_INT64} cast", "mode: CAST_MODE_FAIL")
    has("CAST(i64 AS BOOLEAN)", "op: COMPARE_OP_NOT_EQUAL")
    has("CAST(d10 AS DOUBLE)", "SIMPLE_TYPE_FLOAT64} cast")
    has("CAST(d38 AS DOUBLE)", "call {name: 'spark_cast")
    withSetting(Ansi, "true") {
      has("CAST(s AS INT)", "name: 'spark_cast_ansi'", "literal {null: true}", "literal {bytes: 'America/New_York'}")
      has("CAST(d38 AS DECIMAL(10, 2))", "cast", "mode: CAST_MODE_FAIL")
      has("CAST(i64 AS DECIMAL(10, 0))", "precision: 20 scale: 0}} cast", "mode: CAST_MODE_FAIL")
    }
    withSetting(Ansi, "false")(has("CAST(s AS DATE)", "name: 'spark_cast'"))
    has("try_cast(s AS DOUBLE)", "name: 'spark_cast_try'")
    refused("CAST(a AS STRING)", Refusal.OperandType, "Cast")
  }

  test("functions by name, with zone, mode and the type of the result") {
    has("substring(s, 2, 3)", "name: 'spark_substring'")
    has("hour(ts)", "name: 'spark_hour'", "bytes: 'America/New_York'")
    has("year(d)", "name: 'spark_year'")
    has("date_add(d, 3)", "name: 'spark_date_add'")
    has("round(f64, 2)", "name: 'spark_round", s"int64: ${Runtime.version().feature()}")
    has("s || 'x' || s", "call {name: '||'")
    has("xxhash64(i32, s)", "name: 'spark_xxhash64'", "literal {int64: 42}")
    withSetting(Ansi, "true")(has("a[0]", "name: 'spark_get_array_item_ansi'"))
  }

  test("LIKE of patterns that Spark takes") {
    has("s LIKE 'a%b_'", "like {operand {", "escape: '\\'")
    has("s LIKE 'a#%%' ESCAPE '#'", "escape: '#'")
    refused("s LIKE i32", Refusal.Argument, "Like")
  }

  test("what has no native form is refused with its class") {
    refused("levenshtein(s, s) + rand()", Refusal.Expression, "Rand")
    refused("transform(a, x -> x + 1)", Refusal.Expression, "ArrayTransform")
    refused("s COLLATE UTF8_LCASE = 'a'", Refusal.OperandType, "Collate")
  }

  test("expressions nested too deep are refused rather than sent") {
    val one: Expression = Literal(1)
    val deep = (0 until 2 * Converter.DepthMax).foldLeft(one)((e, _) => Add(e, one, EvalMode.ANSI))
    assert(ExpressionConverter.convert(deep, Nil).left.toOption.map(_.reason).contains(Refusal.Depth))
  }

  test("every native form is of a class that some version of Spark has, once") {
    assert(Supported.forms.map(_.expression).distinct.size == Supported.forms.size)
    assert(Supported.forms.size > 100)
  }

  test("texts compare by bytes or not at all") {
    assert(DataTypes.toProto(StringType).isRight)
    assert(DataTypes.toProto(StringType("UNICODE_CI")).left.toOption.map(_.reason).contains(Refusal.Collation))
  }
}
