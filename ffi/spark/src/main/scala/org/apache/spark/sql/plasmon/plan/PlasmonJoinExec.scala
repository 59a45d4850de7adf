package org.apache.spark.sql.plasmon.plan

import org.apache.spark.sql.catalyst.expressions.{Attribute, Expression}
import org.apache.spark.sql.catalyst.optimizer.{BuildLeft, BuildRight, BuildSide}
import org.apache.spark.sql.catalyst.plans._
import org.apache.spark.sql.catalyst.plans.physical._
import org.apache.spark.sql.execution.{BinaryExecNode, SparkPlan}
import org.apache.spark.sql.plasmon.SparkShim
import org.apache.spark.sql.plasmon.execution.{BlockBuilder, NativeRelation}
import org.apache.spark.sql.plasmon.expression.{ExpressionConverter, Refusal, Subqueries}
import org.apache.spark.sql.plasmon.proto.{EnumValue, Message, PlanProto}
import org.apache.spark.sql.plasmon.proto.{PlanNumbers => N}
import org.apache.spark.sql.plasmon.proto.PlanNumbers.JoinKind

/**
 * A hash join of two inputs, or without keys a nested loop. `buildSide` becomes the table. `planned` and `output` are partitioning and columns of Spark's join that
 * this stands for.
 */
case class PlasmonJoinExec(
    leftKeys: Seq[Expression],
    rightKeys: Seq[Expression],
    joinType: JoinType,
    buildSide: BuildSide,
    condition: Option[Expression],
    isNullAware: Boolean,
    exchange: JoinExchange,
    output: Seq[Attribute],
    planned: Partitioning,
    left: SparkPlan,
    right: SparkPlan)
    extends BinaryExecNode
    with PlasmonExec {

  /** What adaptive execution keeps to when it merges partitions of the inputs. */
  override def requiredChildDistribution: Seq[Distribution] = exchange match {
    case JoinExchange.Shuffled if leftKeys.nonEmpty => Seq(SparkShim.clustered(leftKeys), SparkShim.clustered(rightKeys))
    case _ => Seq(UnspecifiedDistribution, UnspecifiedDistribution)
  }

  /** As planned, unless adaptive execution has merged or cut partitions of the inputs since then. */
  override def outputPartitioning: Partitioning = {
    val inputs = (if (isBroadcast) Seq(if (buildSide == BuildLeft) right else left) else Seq(left, right)).map(_.outputPartitioning)
    if (inputs.forall(_.numPartitions == planned.numPartitions)) planned
    else (planned, joinType) match {
      case (_: UnknownPartitioning, _) | (_, FullOuter) => UnknownPartitioning(inputs.head.numPartitions)
      case (_, _: InnerLike) if inputs.map(_.numPartitions).distinct.size == 1 => PartitioningCollection(inputs)
      case (_, RightOuter) => inputs.last
      case _ => inputs.head
    }
  }

  private def isBroadcast = exchange == JoinExchange.Broadcast

  /** What has the rows of the table, where that is a broadcast. */
  def broadcastTable: Option[SparkPlan] = if (!isBroadcast) None else Some(if (buildSide == BuildLeft) left else right)

  // The same rows whichever input becomes the table: which one does may be another when a join is planned again with what stages have measured.
  override protected def doCanonicalize(): SparkPlan = super.doCanonicalize() match {
    case join: PlasmonJoinExec if !isBroadcast => join.copy(buildSide = BuildRight)
    case other => other
  }

  override protected def stringArgs: Iterator[Any] = {
    Iterator(leftKeys, rightKeys, joinType, s"$exchange $buildSide") ++ condition ++ (if (isNullAware) Some("null-aware") else None)
  }

  /** The engine builds its right input; Spark may want the left one built. */
  override protected def build(block: BlockBuilder): NativeRelation = {
    val isSwapped = buildSide == BuildLeft
    val (probe, table) = if (isSwapped) (right, left) else (left, right)
    val (probeKeys, tableKeys) = if (isSwapped) (rightKeys, leftKeys) else (leftKeys, rightKeys)
    val probed = block.input(probe)
    val (built, broadcast) =
      if (isBroadcast) { val (rows, name) = block.broadcast(table); (rows, Some(name)) } else (block.input(table), None)
    val keys = convertedAll(probeKeys, probe.output).zip(convertedAll(tableKeys, table.output)).map { case (l, r) =>
      PlanProto.joinKey(l, r)
    }
    val residual = condition.map(converted(_, probe.output ++ table.output))
    val kind = PlasmonJoinExec.kind(joinType, isSwapped)
    val shared = broadcast.filter(_ => PlasmonJoinExec.sharesTable(kind)).map(name => s"$name/${PlasmonJoinExec.layout(kind, keys, residual, probe, table)}")
    shared.foreach(block.shareBuild)
    val node = PlanProto.join(probed.message, built.message, kind, keys, residual, isNullAware, cachedBuild = shared)
    PlasmonJoinExec.engineOutput(joinType, probe.output, table.output, output, isSwapped) match {
      case None => give(node, probed, built)
      case Some(all) =>
        // Columns of the table come behind the probe's, and Spark wants its left ones first.
        val joined = NativeRelation.of(all, node, probed, built)
        joined.project(output, output.map(column => PlasmonExec.now(ExpressionConverter.convert(column, all))))
    }
  }

  override protected def withNewChildrenInternal(left: SparkPlan, right: SparkPlan): PlasmonJoinExec = copy(left = left, right = right)
}

/** How rows of equal keys come together. */
sealed trait JoinExchange
object JoinExchange {
  /** The table is a broadcast. */
  case object Broadcast extends JoinExchange
  /** Both inputs are partitioned by the keys. */
  case object Shuffled extends JoinExchange
  /** As that, but large partitions were cut, and the matching ones of the other input repeated. */
  case object Skewed extends JoinExchange
}

object PlasmonJoinExec {
  /** The engine's kind of a join; `isSwapped`: its left input is Spark's right one. */
  def kind(joinType: JoinType, isSwapped: Boolean): EnumValue = joinType match {
    case _: InnerLike => JoinKind.Inner
    case LeftOuter => if (isSwapped) JoinKind.Right else JoinKind.Left
    case RightOuter => if (isSwapped) JoinKind.Left else JoinKind.Right
    case FullOuter => JoinKind.Full
    case LeftSemi => if (isSwapped) JoinKind.RightSemi else JoinKind.LeftSemi
    case LeftAnti => if (isSwapped) JoinKind.RightAnti else JoinKind.LeftAnti
    case _: ExistenceJoin => if (isSwapped) JoinKind.RightMark else JoinKind.LeftMark
    case other => throw new IllegalStateException(s"the engine has no join of kind $other")
  }

  /** Whether tasks can probe one table: none of them marks rows in it. */
  private def sharesTable(kind: EnumValue): Boolean =
    Seq(JoinKind.Inner, JoinKind.Left, JoinKind.LeftSemi, JoinKind.LeftAnti, JoinKind.LeftMark).contains(kind)

  /** What a table and the way of probing it depend on besides the rows of the broadcast: a name that is another one for any other join. */
  private def layout(kind: EnumValue, keys: Seq[Message], residual: Option[Message], probe: SparkPlan, table: SparkPlan): String = {
    val join = new Message().putAll(N.Join.keys, keys).putAll(N.Join.residual, residual).put(N.Join.kind, kind)
    val columns = new Message().putAll(N.Relation.fields_, NativeRelation.fields(probe.output ++ table.output))
    val hash = java.security.MessageDigest.getInstance("SHA-256").digest(join.bytes ++ columns.bytes)
    java.util.HexFormat.of().formatHex(hash, 0, 16)
  }

  /** Why a join of this type cannot be native; `None` when it can. */
  def refusal(joinType: JoinType): Option[Refusal] = joinType match {
    case _: InnerLike | LeftOuter | RightOuter | FullOuter | LeftSemi | LeftAnti | _: ExistenceJoin => None
    case other => Some(Refusal(other.sql, Refusal.Join, "the engine has no such join"))
  }

  /** What the engine's join gives, when that is in another order than Spark's output. */
  private def engineOutput(
      joinType: JoinType,
      probe: Seq[Attribute],
      table: Seq[Attribute],
      output: Seq[Attribute],
      isSwapped: Boolean): Option[Seq[Attribute]] = joinType match {
    case _: InnerLike | LeftOuter | RightOuter | FullOuter if isSwapped =>
      // Nullable where Spark says so.
      val byId = output.map(a => a.exprId -> a).toMap
      Some((probe ++ table).map(a => byId(a.exprId)))
    case _ => None
  }

  /** Checks keys and condition. */
  def refusal(
      leftKeys: Seq[Expression],
      rightKeys: Seq[Expression],
      condition: Option[Expression],
      left: Seq[Attribute],
      right: Seq[Attribute]): Option[Refusal] = {
    val checked = for {
      _ <- ExpressionConverter.convertAll(leftKeys, left, Subqueries.StandIns)
      _ <- ExpressionConverter.convertAll(rightKeys, right, Subqueries.StandIns)
      _ <- ExpressionConverter.convertAll(condition.toSeq, left ++ right, Subqueries.StandIns)
    } yield ()
    checked.left.toOption
  }
}
