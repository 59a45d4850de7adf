package org.apache.spark.sql.plasmon.plan

import org.apache.spark.sql.catalyst.expressions.{Attribute, AttributeSet, Expression, NamedExpression}
import org.apache.spark.sql.catalyst.expressions.aggregate.{AggregateExpression, Final, PartialMerge}
import org.apache.spark.sql.catalyst.plans.physical.{AllTuples, Distribution, UnspecifiedDistribution}
import org.apache.spark.sql.execution.{PartitioningPreservingUnaryExecNode, SparkPlan, UnaryExecNode}
import org.apache.spark.sql.plasmon.SparkShim
import org.apache.spark.sql.plasmon.execution.{BlockBuilder, NativeRelation}
import org.apache.spark.sql.plasmon.expression.{AggregateConverter, AggregateNode}

/** An aggregation of any phase. Between phases lie Spark's own buffer columns, so that another phase may be Spark's. */
case class PlasmonAggregateExec(
    requiredChildDistributionExpressions: Option[Seq[Expression]],
    groupingExpressions: Seq[NamedExpression],
    aggregateExpressions: Seq[AggregateExpression],
    aggregateAttributes: Seq[Attribute],
    resultExpressions: Seq[NamedExpression],
    child: SparkPlan)
    extends UnaryExecNode
    with PlasmonExec
    with PartitioningPreservingUnaryExecNode {

  override def output: Seq[Attribute] = resultExpressions.map(_.toAttribute)
  override protected def outputExpressions: Seq[NamedExpression] = resultExpressions

  override def requiredChildDistribution: Seq[Distribution] = requiredChildDistributionExpressions match {
    case Some(Nil) => Seq(AllTuples)
    case Some(keys) => Seq(SparkShim.clustered(keys))
    case None => Seq(UnspecifiedDistribution)
  }

  /** What the node makes itself is not missing in its input; as in Spark's own nodes. */
  override def producedAttributes: AttributeSet =
    AttributeSet(aggregateAttributes) ++
      AttributeSet(resultExpressions.diff(groupingExpressions).map(_.toAttribute)) ++
      AttributeSet(aggregateExpressions.flatMap(_.aggregateFunction.aggBufferAttributes)) ++
      AttributeSet(mergedBuffers)

  private def mergedBuffers =
    aggregateExpressions.filter(a => a.mode == Final || a.mode == PartialMerge).flatMap(_.aggregateFunction.inputAggBufferAttributes)

  override protected def stringArgs: Iterator[Any] = Iterator(groupingExpressions, aggregateExpressions, output)

  override protected def build(block: BlockBuilder): NativeRelation = {
    val mayRepeat = requiredChildDistributionExpressions.isEmpty
    val node = AggregateNode(groupingExpressions, aggregateExpressions, aggregateAttributes, resultExpressions, mayRepeat)
    val layers = PlasmonExec.now(AggregateConverter.convert(node, child.output))
    layers.foldLeft(block.input(child))((below, layer) => NativeRelation(layer(below.message), Seq(below)))
  }

  override protected def withNewChildInternal(child: SparkPlan): PlasmonAggregateExec = copy(child = child)
}
