package org.apache.spark.sql.plasmon

import org.apache.spark.SparkEnv
import org.apache.spark.scheduler.MapStatus
import org.apache.spark.shuffle.IndexShuffleBlockResolver
import org.apache.spark.sql.catalyst.expressions.Expression
import org.apache.spark.sql.catalyst.plans.physical.{ClusteredDistribution, Distribution}
import org.apache.spark.storage.BlockManagerId

/** What differs between the Spark versions that the jar runs on, found once by name. */
private[plasmon] object SparkShim {
  /** Spark 4.3 moved `shuffleBlockResolver` from the shuffle manager's trait to one below it; the class behind has it everywhere. */
  def blockResolver(env: SparkEnv): IndexShuffleBlockResolver =
    env.shuffleManager.getClass.getMethod("shuffleBlockResolver").invoke(env.shuffleManager) match {
      case resolver: IndexShuffleBlockResolver => resolver
      case other => throw new IllegalStateException(s"native shuffles need Spark's sort shuffle, not ${other.getClass.getName}")
    }

  private val applyClustered = ClusteredDistribution.getClass.getMethods.filter(_.getName == "apply").maxBy(_.getParameterCount)

  /** Rows of equal keys in one partition. The class has one argument more in Spark 4.3, and defaults for all but the keys everywhere. */
  def clustered(keys: Seq[Expression]): Distribution = {
    val defaults = (2 to applyClustered.getParameterCount).map { position =>
      ClusteredDistribution.getClass.getMethod("apply$default$" + position).invoke(ClusteredDistribution)
    }
    applyClustered.invoke(ClusteredDistribution, keys +: defaults: _*).asInstanceOf[Distribution]
  }

  private val applyMapStatus = MapStatus.getClass.getMethods.filter(_.getName == "apply").maxBy(_.getParameterCount)

  /** `MapStatus.apply` has a checksum as fourth argument from Spark 4.1. */
  def mapStatus(location: BlockManagerId, lengths: Array[Long], mapId: Long): MapStatus = {
    val arguments = Seq[AnyRef](location, lengths, Long.box(mapId)) ++ Seq.fill(applyMapStatus.getParameterCount - 3)(Long.box(0))
    applyMapStatus.invoke(MapStatus, arguments: _*).asInstanceOf[MapStatus]
  }
}
