package org.apache.spark.sql.plasmon.rule

import dev.plasmon.spark.RowBatches
import org.apache.spark.sql.catalyst.expressions.{Attribute, Expression, SortOrder}
import org.apache.spark.sql.catalyst.optimizer.{BuildLeft, BuildSide}
import org.apache.spark.sql.catalyst.plans._
import org.apache.spark.sql.catalyst.plans.physical.SinglePartition
import org.apache.spark.sql.execution._
import org.apache.spark.sql.execution.adaptive.{AQEShuffleReadExec, BroadcastQueryStageExec, QueryStageExec}
import org.apache.spark.sql.execution.aggregate.{BaseAggregateExec, HashAggregateExec, ObjectHashAggregateExec, SortAggregateExec}
import org.apache.spark.sql.execution.exchange._
import org.apache.spark.sql.execution.joins._
import org.apache.spark.sql.execution.window.{Final => WindowGroupLimitFinal, WindowExec, WindowGroupLimitExec}
import org.apache.spark.sql.plasmon.exchange.{PlasmonBroadcastExchangeExec, PlasmonExchangeExec, ShufflePartitioning}
import org.apache.spark.sql.plasmon.expression._
import org.apache.spark.sql.plasmon.plan._

/**
 * Spark's operators as native ones. Children are converted already. The answer is the native operator, why there is none, or nothing at all for nodes that
 * are not asked (no rows of theirs are native, or they are no operator).
 */
private object Operators {
  type Answer = Either[Option[Refusal], SparkPlan]

  def convert(node: SparkPlan): Answer = node match {
    case scan: FileSourceScanExec => answer(ParquetScans.refusal(scan))(PlasmonScanExec(scan))
    case _: NativeDriver | _: PlasmonUnionExec => Left(None)
    case union: UnionExec if union.children.exists(isNative) => this.union(union)
    case other if !other.children.exists(isNative) => Left(None)
    case other => rowsRefusal(other).map(why => Left(Some(why))).getOrElse(overNative(other))
  }

  /** An operator, some of whose inputs are native and the others rows that can be. */
  private def overNative(node: SparkPlan): Answer = node match {
    case filter: FilterExec =>
      checked(filter.condition +: Nil, filter.child.output)(PlasmonFilterExec(filter.condition, filter.output, native(filter.child)))
    case project: ProjectExec => checked(project.projectList, project.child.output)(PlasmonProjectExec(project.projectList, native(project.child)))
    case expand: ExpandExec =>
      checked(expand.projections.flatten, expand.child.output)(PlasmonExpandExec(expand.projections, expand.output, native(expand.child)))
    case sort: SortExec => ordered(sort.sortOrder, sort.child)(PlasmonSortExec(sort.sortOrder, None, 0, native(sort.child)))
    case limit: LocalLimitExec => Right(PlasmonLimitExec(Some(limit.limit.toLong), 0, native(limit.child)))
    case limit: GlobalLimitExec =>
      val fetch = if (limit.limit >= 0) Some(math.max(0, limit.limit - limit.offset).toLong) else None
      Right(PlasmonLimitExec(fetch, limit.offset.toLong, native(limit.child)))
    case top: TakeOrderedAndProjectExec => takeOrdered(top)
    case aggregate @ (_: HashAggregateExec | _: ObjectHashAggregateExec | _: SortAggregateExec) =>
      this.aggregate(aggregate.asInstanceOf[BaseAggregateExec])
    case join: BroadcastHashJoinExec =>
      this.join(join, join.leftKeys, join.rightKeys, join.joinType, join.buildSide, join.condition, join.isNullAwareAntiJoin, JoinExchange.Broadcast)
    case join: BroadcastNestedLoopJoinExec =>
      this.join(join, Nil, Nil, join.joinType, join.buildSide, join.condition, isNullAware = false, JoinExchange.Broadcast)
    case product: CartesianProductExec => cartesian(product)
    case join: ShuffledHashJoinExec =>
      this.join(join, join.leftKeys, join.rightKeys, join.joinType, join.buildSide, join.condition, isNullAware = false, shuffled(join.isSkewJoin))
    case join: SortMergeJoinExec =>
      val unsorted = join.withNewChildren(join.children.map(withoutSort)).asInstanceOf[SortMergeJoinExec]
      val side = BuildSides.choose(unsorted)
      this.join(unsorted, join.leftKeys, join.rightKeys, join.joinType, side, join.condition, isNullAware = false, shuffled(join.isSkewJoin))
    case generate: GenerateExec => this.generate(generate)
    case window: WindowExec => this.window(window)
    case limit: WindowGroupLimitExec => groupLimit(limit)
    case exchange: ShuffleExchangeExec => shuffle(exchange)
    // A broadcast goes with the join that reads it; the others hand on batches as they are.
    case _: BroadcastExchangeExec | _: UnionExec | _: AQEShuffleReadExec | _: ReusedExchangeExec => Left(None)
    case other => refused(other, Refusal.Operator, "the engine has no such operator")
  }

  // ------------------------------------------------------------- what is native already

  /** Whether the rows of a plan are in the engine, or leave it just there. */
  def isNative(plan: SparkPlan): Boolean = plan match {
    case _: PlasmonExec | _: NativeDriver => true
    case stage: QueryStageExec => isNative(stage.plan)
    case reused: ReusedExchangeExec => isNative(reused.child)
    case read: AQEShuffleReadExec => isNative(read.child)
    case union: UnionExec => union.children.forall(isNative)
    case exchange: BroadcastExchangeExec => isNative(exchange.child)
    case _ => false
  }

  /** Why rows of a child that is Spark's cannot be taken into the engine. */
  private def rowsRefusal(node: SparkPlan): Option[Refusal] =
    node.children.filterNot(isNative).flatMap(_.output).find(column => !RowBatches.supports(column.dataType)).map { column =>
      Refusal(node.nodeName, Refusal.DataType, s"rows with a column of ${column.dataType.simpleString} beside native ones")
    }

  /** A plan as input of a native operator: a block that ended here goes on, constants and what is made of them are native now, other rows of Spark's are rows. */
  def native(plan: SparkPlan): SparkPlan = plan match {
    case block: PlasmonBlockExec => block.child
    case other if isNative(other) => other
    case other => ofConstants(other).getOrElse(asRows(other))
  }

  /** A plan whose rows all come from constants. It was left to Spark as long as nothing beside it was native. */
  private def ofConstants(plan: SparkPlan): Option[SparkPlan] = {
    val converted =
      if (plan.children.isEmpty) Constants.convert(plan)
      else {
        val inputs = plan.children.map(ofConstants)
        if (inputs.forall(_.isDefined)) convert(plan.withNewChildren(inputs.flatten)).toOption else None
      }
    converted.foreach { native =>
      Fallback.clear(plan)
      native.copyTagsFrom(plan)
    }
    converted
  }

  /** Batches of Spark's own are none of the engine's. */
  private def asRows(plan: SparkPlan): SparkPlan = if (plan.supportsColumnar) ColumnarToRowExec(plan) else plan

  /** The input of a sort that only its reader wanted. */
  private def withoutSort(plan: SparkPlan): SparkPlan = plan match {
    case sort: PlasmonSortExec if sort.fetch.isEmpty => sort.child
    case block: PlasmonBlockExec => withoutSort(block.child)
    case sort: SortExec if !sort.global => sort.child
    case other => other
  }

  // ------------------------------------------------------------- answers

  private def answer(refusal: Option[Refusal])(native: => SparkPlan): Answer = refusal.map(Some(_)).toLeft(native)

  private def checked(expressions: Seq[Expression], input: Seq[Attribute])(native: => SparkPlan): Answer =
    answer(ExpressionConverter.convertAll(expressions, input, Subqueries.StandIns).left.toOption)(native)

  private def ordered(order: Seq[SortOrder], child: SparkPlan)(native: => SparkPlan): Answer =
    answer(SortKeys.convert(order, child.output, Subqueries.StandIns).left.toOption)(native)

  def refused(node: SparkPlan, reason: String, detail: String): Answer = Left(Some(Refusal(node.nodeName, reason, detail)))

  // ------------------------------------------------------------- operators of several nodes

  /** The first rows of each partition, then the first of those. */
  private def takeOrdered(top: TakeOrderedAndProjectExec): Answer = {
    val child = native(top.child)
    val refusal = SortKeys.convert(top.sortOrder, child.output, Subqueries.StandIns).left.toOption
      .orElse(ExpressionConverter.convertAll(top.projectList, child.output, Subqueries.StandIns).left.toOption)
    answer(refusal) {
      val kept = top.limit.toLong
      val single =
        if (child.outputPartitioning == SinglePartition) child
        else {
          val first = PlasmonSortExec(top.sortOrder, Some(kept), 0, child)
          PlasmonExchangeExec(SinglePartition, first, ENSURE_REQUIREMENTS, None)
        }
      val last = PlasmonSortExec(top.sortOrder, Some(math.max(0, kept - top.offset)), top.offset.toLong, single)
      if (top.projectList == child.output) last else PlasmonProjectExec(top.projectList, last)
    }
  }

  /** Batches pass through a union as they are, so all of them must be the engine's. */
  private def union(node: UnionExec): Answer = {
    val inputs = node.children.map(child => if (isNative(child)) child else native(child))
    if (inputs.forall(isNative)) Right(new PlasmonUnionExec(inputs)) else Left(None)
  }

  private def aggregate(node: BaseAggregateExec): Answer = {
    val child = native(withoutSort(node.child))
    val mayRepeat = node.requiredChildDistributionExpressions.isEmpty
    val parts = AggregateNode(node.groupingExpressions, node.aggregateExpressions, node.aggregateAttributes, node.resultExpressions, mayRepeat)
    answer(AggregateConverter.convert(parts, child.output, Subqueries.StandIns).left.toOption) {
      PlasmonAggregateExec(
        node.requiredChildDistributionExpressions, node.groupingExpressions, node.aggregateExpressions, node.aggregateAttributes,
        node.resultExpressions, child)
    }
  }

  private def generate(node: GenerateExec): Answer = {
    val child = native(node.child)
    val refusal = Generated.refusal(node.generator, node.outer, child.output).orElse(DataTypes.fields(node.generatorOutput).left.toOption)
    answer(refusal)(PlasmonGenerateExec(node.generator, node.requiredChildOutput, node.outer, node.generatorOutput, child))
  }

  private def window(node: WindowExec): Answer = {
    val child = native(withoutSort(node.child))
    val refusal = Windows.refusal(node.partitionSpec, node.orderSpec, child.output)
      .orElse(Traversal.all(node.windowExpression)(WindowConverter.convert(_, child.output, Subqueries.StandIns)).left.toOption)
    answer(refusal)(PlasmonWindowExec(node.windowExpression, node.partitionSpec, node.orderSpec, child))
  }

  private def groupLimit(node: WindowGroupLimitExec): Answer = {
    val child = native(withoutSort(node.child))
    val refusal = Windows.refusal(node.partitionSpec, node.orderSpec, child.output).orElse(Windows.rank(node.rankLikeFunction).left.toOption)
    answer(refusal) {
      PlasmonWindowGroupLimitExec(node.partitionSpec, node.orderSpec, node.rankLikeFunction, node.limit, node.mode == WindowGroupLimitFinal, child)
    }
  }

  /** Spark pairs every partition with every other one. Here both inputs go to one task, whose nested loop has the whole of the smaller one as its table. */
  private def cartesian(product: CartesianProductExec): Answer = {
    val inputs = product.children.map { child =>
      val rows = native(child)
      if (rows.outputPartitioning == SinglePartition) rows else PlasmonExchangeExec(SinglePartition, rows, ENSURE_REQUIREMENTS, None)
    }
    val Seq(left, right) = inputs
    answer(PlasmonJoinExec.refusal(Nil, Nil, product.condition, left.output, right.output)) {
      PlasmonJoinExec(
        Nil, Nil, Inner, BuildSides.choose(product), product.condition, isNullAware = false, JoinExchange.Shuffled, product.output, SinglePartition,
        left, right)
    }
  }

  private def shuffled(isSkewed: Boolean): JoinExchange = if (isSkewed) JoinExchange.Skewed else JoinExchange.Shuffled

  private def join(
      node: SparkPlan,
      leftKeys: Seq[Expression],
      rightKeys: Seq[Expression],
      joinType: JoinType,
      side: BuildSide,
      condition: Option[Expression],
      isNullAware: Boolean,
      exchange: JoinExchange): Answer = {
    val Seq(left, right) = node.children
    val table = if (side == BuildLeft) left else right
    val refusal = PlasmonJoinExec.refusal(joinType)
      .orElse(PlasmonJoinExec.refusal(leftKeys, rightKeys, condition, left.output, right.output))
      .orElse(if (exchange == JoinExchange.Broadcast) broadcastRefusal(table) else None)
    answer(refusal) {
      val (l, r) = if (exchange != JoinExchange.Broadcast) (native(left), native(right))
        else if (side == BuildLeft) (broadcast(left), native(right))
        else (native(left), broadcast(right))
      PlasmonJoinExec(
        leftKeys, rightKeys, joinType, side, condition, isNullAware, exchange, node.output, node.outputPartitioning, l, r)
    }
  }

  /** Why the table of a broadcast join cannot be read natively. */
  private def broadcastRefusal(table: SparkPlan): Option[Refusal] = table match {
    case exchange: BroadcastExchangeExec => DataTypes.fields(exchange.output).left.toOption
    case stage: BroadcastQueryStageExec if isNative(stage) => None
    case reused: ReusedExchangeExec if isNative(reused) => None
    case native: PlasmonBroadcastExchangeExec => DataTypes.fields(native.output).left.toOption
    case other => Some(Refusal(other.nodeName, Refusal.Broadcast, "this broadcast is Spark's already"))
  }

  private def broadcast(table: SparkPlan): SparkPlan = table match {
    case exchange: BroadcastExchangeExec =>
      val native = PlasmonBroadcastExchangeExec(exchange.mode, Operators.native(exchange.child))
      native.copyTagsFrom(exchange)
      native
    case other => other
  }

  private def shuffle(exchange: ShuffleExchangeExec): Answer = {
    val refusal = ShufflePartitioning.refusal(exchange.outputPartitioning, exchange.child.output)
      .orElse(DataTypes.fields(exchange.output).left.toOption)
    answer(refusal) {
      PlasmonExchangeExec(exchange.outputPartitioning, native(exchange.child), exchange.shuffleOrigin, exchange.advisoryPartitionSize)
    }
  }
}
