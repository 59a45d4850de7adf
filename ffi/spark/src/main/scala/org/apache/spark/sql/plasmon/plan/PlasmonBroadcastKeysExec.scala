package org.apache.spark.sql.plasmon.plan

import org.apache.spark.sql.catalyst.expressions.{Attribute, NamedExpression}
import org.apache.spark.sql.catalyst.plans.physical.{Partitioning, SinglePartition}
import org.apache.spark.sql.execution.{SparkPlan, UnaryExecNode}
import org.apache.spark.sql.plasmon.execution.{BlockBuilder, NativeRelation}
import org.apache.spark.sql.plasmon.proto.PlanNumbers.AggregatePhase
import org.apache.spark.sql.plasmon.proto.PlanProto

/** The different keys among the rows of a native broadcast (the child), by which scans are pruned while a query runs. */
case class PlasmonBroadcastKeysExec(keys: Seq[NamedExpression], child: SparkPlan) extends UnaryExecNode with PlasmonExec {
  override def output: Seq[Attribute] = keys.map(_.toAttribute)
  override def outputPartitioning: Partitioning = SinglePartition

  override protected def build(block: BlockBuilder): NativeRelation = {
    block.runOnce()
    val (rows, _) = block.broadcast(child)
    give(PlanProto.aggregate(rows.message, convertedAll(keys, child.output), Nil, Nil, AggregatePhase.Single), rows)
  }

  override protected def withNewChildInternal(child: SparkPlan): PlasmonBroadcastKeysExec = copy(child = child)
}
