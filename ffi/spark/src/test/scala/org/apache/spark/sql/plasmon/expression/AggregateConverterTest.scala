package org.apache.spark.sql.plasmon.expression

import org.apache.spark.sql.plasmon.proto.{Message, PlanProto, ProtoSchema}
import org.scalatest.funsuite.AnyFunSuite

class AggregateConverterTest extends AnyFunSuite {
  import Queries.{aggregations, node, withSetting}

  private val Ansi = "spark.sql.ansi.enabled"
  private val source: Message = PlanProto.relation(Nil, PlanProto.empty(oneRow = false))

  /** The relations of an aggregation of the query, the first above its input first; aggregations are counted from the last one. */
  private def layers(query: String, which: Int): Seq[String] = {
    val exec = aggregations(query)(which)
    val made = AggregateConverter.convert(node(exec), exec.child.output).fold(refusal => fail(refusal.toString), identity)
    val shown = made.map(layer => ProtoSchema.plan.show("Relation", layer(source).bytes))
    val outputs = "fields \\{name: '".r.findAllIn(shown.last.takeWhile(_ != '\n').split(" (project|aggregate) \\{").head).size
    assert(outputs == exec.output.size, "columns of the node")
    shown
  }

  private def calls(relation: String): Seq[String] = "native: NATIVE_AGGREGATE_(\\w+)".r.findAllMatchIn(relation).map(_.group(1)).toSeq

  private def refusal(query: String): Refusal = {
    val exec = aggregations(query).last
    AggregateConverter.convert(node(exec), exec.child.output).left.toOption.getOrElse(fail(s"$query is not refused"))
  }

  test("counts and extremes are buffers as they are") {
    val query = "SELECT i32, count(*), count(s), min(d), max(f64) FROM t GROUP BY i32"
    val partial = layers(query, 1)
    // No text is null, so that Spark counts rows once for both.
    assert(calls(partial.head) == Seq("COUNT_ALL", "MIN", "MAX"))
    assert(partial.size == 2, "the values, and the names of the buffers")
    assert(calls(layers(query, 0).head) == Seq("SUM", "MIN", "MAX"))
  }

  test("a sum of decimals has Spark's two buffers, and an overflow stays one") {
    withSetting(Ansi, "true") {
      val partial = layers("SELECT i32, sum(d15) FROM t GROUP BY i32", 1)
      assert(partial(1).contains("is_null"))
      assert(calls(layers("SELECT i32, sum(d15) FROM t GROUP BY i32", 0).head) == Seq("SUM", "BOOL_OR", "BOOL_AND"))
    }
  }

  test("sums of 38 digits are exact in legacy mode, by 256 bits") {
    withSetting(Ansi, "false")(assert(layers("SELECT sum(d38) FROM t", 1).head.contains("bits: 256 precision: 76 scale: 10")))
    withSetting(Ansi, "true")(assert(!layers("SELECT sum(d38) FROM t", 1).head.contains("bits: 256")))
  }

  test("sums of longs fail in ANSI mode and wrap around else") {
    withSetting(Ansi, "true")(assert(layers("SELECT sum(i64) FROM t", 1).size == 2))
    withSetting(Ansi, "false") {
      val partial = layers("SELECT sum(i64) FROM t", 1)
      assert(partial.head.contains("precision: 30 scale: 0"))
      assert(partial(1).contains("ARITHMETIC_OP_MODULO"))
    }
  }

  test("averages: sum and count, divided at the end") {
    val query = "SELECT avg(d15), avg(i32) FROM t"
    assert(calls(layers(query, 1).head) == Seq("SUM", "COUNT", "SUM", "COUNT_ALL"))
    val last = layers(query, 0)
    assert(calls(last.head) == Seq("SUM", "SUM", "BOOL_OR", "SUM", "SUM"))
    assert(last.exists(_.contains("ARITHMETIC_OP_DIVIDE")))
  }

  test("first and last have a value and whether it is set") {
    val query = "SELECT first(s), last(i32, true) FROM t GROUP BY d"
    assert(calls(layers(query, 1).head) == Seq("FIRST", "COUNT_ALL", "LAST", "COUNT_ALL"))
    assert(calls(layers(query, 0).head) == Seq("FIRST", "BOOL_OR", "LAST", "BOOL_OR"))
  }

  test("FILTER counts for rows and not for buffers") {
    val query = "SELECT sum(f64) FILTER (WHERE i32 > 1) FROM t GROUP BY d"
    assert(layers(query, 1).head.contains("filter {"))
    assert(!layers(query, 0).head.contains("filter {"))
  }

  test("functions of two modes in one node, as DISTINCT makes them") {
    val query = "SELECT i32, count(DISTINCT s), sum(f64) FROM t GROUP BY i32"
    val nodes = aggregations(query)
    assert(nodes.size == 4)
    nodes.indices.foreach(i => assert(layers(query, i).nonEmpty))
    assert(calls(layers(query, 1).head).toSet == Set("SUM", "COUNT", "COUNT_ALL").intersect(calls(layers(query, 1).head).toSet))
    assert(calls(layers(query, 1).head).size == 2)
  }

  test("a DISTINCT of rows is an aggregation without functions") {
    assert(calls(layers("SELECT DISTINCT i32, s FROM t", 0).head).isEmpty)
  }

  test("what has no native form is refused with its class") {
    assert(refusal("SELECT percentile(i32, 0.5) FROM t").reason == Refusal.Aggregate)
    assert(refusal("SELECT collect_list(i32) FROM t").node == "CollectList")
    assert(refusal("SELECT i32, try_sum(i64) FROM t GROUP BY i32").reason == Refusal.Mode)
    assert(refusal("SELECT st, count(*) FROM t GROUP BY st").reason == Refusal.OperandType)
  }
}
