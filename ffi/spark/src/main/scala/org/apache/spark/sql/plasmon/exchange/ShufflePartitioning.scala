package org.apache.spark.sql.plasmon.exchange

import org.apache.spark.RangePartitioner
import org.apache.spark.sql.catalyst.InternalRow
import org.apache.spark.sql.catalyst.expressions.{Attribute, BoundReference, Expression, Literal, SortOrder, UnsafeProjection}
import org.apache.spark.sql.catalyst.expressions.codegen.LazilyGeneratedOrdering
import org.apache.spark.sql.catalyst.plans.physical._
import org.apache.spark.sql.execution.SparkPlan
import org.apache.spark.sql.internal.SQLConf
import org.apache.spark.sql.plasmon.execution.BlockRDD
import org.apache.spark.sql.plasmon.expression.{ExpressionConverter, Refusal, Subqueries}
import org.apache.spark.sql.plasmon.plan.{PlasmonExec, SortKeys}
import org.apache.spark.sql.plasmon.proto.Message
import org.apache.spark.sql.plasmon.proto.{PlanNumbers => N}

/** Where rows go in a shuffle: Spark's partitionings as `ShuffleWrite` has them. */
object ShufflePartitioning {
  /** Why a partitioning cannot be native; `None` when it can. */
  def refusal(partitioning: Partitioning, child: Seq[Attribute]): Option[Refusal] = partitioning match {
    case hash: HashPartitioning => ExpressionConverter.convertAll(hash.expressions, child, Subqueries.StandIns).left.toOption
    case range: RangePartitioning => SortKeys.convert(range.ordering, child, Subqueries.StandIns).left.toOption
    case SinglePartition => None
    case _: RoundRobinPartitioning => None
    case other => Some(Refusal(other.getClass.getSimpleName, Refusal.Partitioning, "the engine has no such partitioning"))
  }

  /** The bytes of a `ShuffleWrite` without input and path. The bounds of a range partitioning are found by running `tasks` for a sample of its rows. */
  def bytes(partitioning: Partitioning, child: SparkPlan, tasks: BlockRDD): Array[Byte] = {
    val write = new Message().put(N.ShuffleWrite.partitions, partitioning.numPartitions.toLong)
    partitioning match {
      case hash: HashPartitioning =>
        val keys = hash.expressions.map(now(_, child.output))
        write.put(N.ShuffleWrite.hash, new Message().putAll(N.ShuffleHash.keys, keys))
      case range: RangePartitioning =>
        val keys = SortKeys.converted(range.ordering, child.output)
        write.put(N.ShuffleWrite.range, new Message().putAll(N.ShuffleRange.keys, keys).putAll(N.ShuffleRange.bounds, bounds(range, child, tasks)))
      case _: RoundRobinPartitioning => write.put(N.ShuffleWrite.roundRobinStart, 0L)
      case _ => write.put(N.ShuffleWrite.single, true)
    }
    write.bytes
  }

  /** The keys of the last row of each partition but the last, as Spark's range partitioner chooses them. */
  private def bounds(range: RangePartitioning, child: SparkPlan, tasks: BlockRDD): Seq[Message] = {
    if (range.numPartitions <= 1) return Nil
    val ordering = range.ordering
    val output = child.output
    val keys = tasks.mapPartitionsInternal { batches =>
      val project = UnsafeProjection.create(ordering.map(_.child), output)
      import scala.jdk.CollectionConverters._
      batches.flatMap(_.rowIterator().asScala).map(row => (project(row).copy(): InternalRow, null))
    }
    implicit val byKeys: Ordering[InternalRow] = new LazilyGeneratedOrdering(ordering.zipWithIndex.map { case (order, i) =>
      order.copy(child = BoundReference(i, order.dataType, order.nullable))
    })
    val samples = math.min(SQLConf.get.rangeExchangeSampleSizePerPartition.toDouble * range.numPartitions, 1e6)
    val each = math.ceil(3.0 * samples / math.max(1, tasks.getNumPartitions)).toInt
    val (_, sketched) = RangePartitioner.sketch(keys.map(_._1), each)
    val candidates = sketched.toSeq.flatMap { case (_, rows, sample) =>
      sample.map(key => (key, (rows.toDouble / sample.length).toFloat))
    }
    val chosen = RangePartitioner.determineBounds(
      scala.collection.mutable.ArrayBuffer.from(candidates), math.min(range.numPartitions, math.max(1, candidates.size)))
    chosen.toSeq.map(row(_, ordering))
  }

  private def row(keys: InternalRow, ordering: Seq[SortOrder]): Message =
    new Message().putAll(N.Row.values, ordering.zipWithIndex.map { case (order, i) =>
      now(Literal(keys.get(i, order.dataType), order.dataType), Nil)
    })

  private def now(e: Expression, input: Seq[Attribute]): Message = PlasmonExec.now(ExpressionConverter.convert(e, input))
}
