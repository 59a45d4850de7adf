package org.apache.spark.sql.plasmon.plan

import org.apache.spark.sql.catalyst.expressions.{Attribute, Descending, NullsFirst, SortOrder}
import org.apache.spark.sql.plasmon.expression.{ExpressionConverter, Refusal, Subqueries, Traversal}
import org.apache.spark.sql.plasmon.proto.{Message, PlanProto}

/** Orders of rows as sort keys of `plan.proto`. */
object SortKeys {
  def convert(ordering: Seq[SortOrder], input: Seq[Attribute], subqueries: Subqueries = Subqueries.Values): Either[Refusal, Seq[Message]] =
    Traversal.all(ordering) { order =>
      ExpressionConverter.convert(order.child, input, subqueries).map { key =>
        PlanProto.sortKey(key, descending = order.direction == Descending, nullsFirst = order.nullOrdering == NullsFirst)
      }
    }

  def converted(ordering: Seq[SortOrder], input: Seq[Attribute]): Seq[Message] = PlasmonExec.now(convert(ordering, input))
}
