package org.apache.spark.sql.plasmon.plan

import org.apache.spark.sql.catalyst.expressions.{Attribute, Expression, NamedExpression, SortOrder}
import org.apache.spark.sql.catalyst.plans.physical.{Partitioning, UnknownPartitioning}
import org.apache.spark.sql.execution.{PartitioningPreservingUnaryExecNode, OrderPreservingUnaryExecNode, SparkPlan, UnaryExecNode}
import org.apache.spark.sql.plasmon.execution.{BlockBuilder, NativeRelation}
import org.apache.spark.sql.plasmon.proto.PlanProto

/** The rows for which the condition is true. */
case class PlasmonFilterExec(condition: Expression, output: Seq[Attribute], child: SparkPlan) extends UnaryExecNode with PlasmonExec {
  override def outputPartitioning: Partitioning = child.outputPartitioning
  override def outputOrdering: Seq[SortOrder] = child.outputOrdering

  override protected def build(block: BlockBuilder): NativeRelation = {
    val input = block.input(child)
    give(PlanProto.filter(input.message, converted(condition, child.output)), input)
  }

  override protected def withNewChildInternal(child: SparkPlan): PlasmonFilterExec = copy(child = child)
}

/** A column for every expression. */
case class PlasmonProjectExec(projectList: Seq[NamedExpression], child: SparkPlan)
    extends UnaryExecNode
    with PlasmonExec
    with PartitioningPreservingUnaryExecNode
    with OrderPreservingUnaryExecNode {
  override def output: Seq[Attribute] = projectList.map(_.toAttribute)
  override protected def outputExpressions: Seq[NamedExpression] = projectList
  override protected def orderingExpressions: Seq[SortOrder] = child.outputOrdering

  override protected def build(block: BlockBuilder): NativeRelation = {
    val input = block.input(child)
    give(PlanProto.project(input.message, convertedAll(projectList, child.output)), input)
  }

  override protected def withNewChildInternal(child: SparkPlan): PlasmonProjectExec = copy(child = child)
}

/** Several rows of every row, one for each projection. */
case class PlasmonExpandExec(projections: Seq[Seq[Expression]], output: Seq[Attribute], child: SparkPlan) extends UnaryExecNode with PlasmonExec {
  // Grouping sets repeat rows with other keys, so that nothing is known of where they are.
  override def outputPartitioning: Partitioning = UnknownPartitioning(0)

  override protected def build(block: BlockBuilder): NativeRelation = {
    val input = block.input(child)
    give(PlanProto.expand(input.message, projections.map(convertedAll(_, child.output))), input)
  }

  override protected def withNewChildInternal(child: SparkPlan): PlasmonExpandExec = copy(child = child)
}

/** All rows of a partition in order, or the first `fetch` of them. */
case class PlasmonSortExec(sortOrder: Seq[SortOrder], fetch: Option[Long], offset: Long, child: SparkPlan)
    extends UnaryExecNode
    with PlasmonExec {
  override def output: Seq[Attribute] = child.output
  override def outputOrdering: Seq[SortOrder] = sortOrder
  override def outputPartitioning: Partitioning = child.outputPartitioning

  override protected def build(block: BlockBuilder): NativeRelation = {
    val input = block.input(child)
    give(PlanProto.sort(input.message, SortKeys.converted(sortOrder, child.output), offset, fetch), input)
  }

  override protected def withNewChildInternal(child: SparkPlan): PlasmonSortExec = copy(child = child)
}

/** The first rows of a partition, in no order but the input's. */
case class PlasmonLimitExec(fetch: Option[Long], offset: Long, child: SparkPlan) extends UnaryExecNode with PlasmonExec {
  override def output: Seq[Attribute] = child.output
  override def outputOrdering: Seq[SortOrder] = child.outputOrdering
  override def outputPartitioning: Partitioning = child.outputPartitioning

  override protected def build(block: BlockBuilder): NativeRelation = {
    val input = block.input(child)
    give(PlanProto.limit(input.message, offset, fetch), input)
  }

  override protected def withNewChildInternal(child: SparkPlan): PlasmonLimitExec = copy(child = child)
}
