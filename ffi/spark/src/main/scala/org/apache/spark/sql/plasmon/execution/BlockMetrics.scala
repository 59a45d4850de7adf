package org.apache.spark.sql.plasmon.execution

import org.apache.spark.sql.execution.metric.SQLMetric

/**
 * Where the counters of a native plan go: for each of its relations, in the order in which the engine tells them (a node before what it reads), the metrics
 * of the operator that it came from. Some relations come from no operator; those of an operator that became several are taken from its top.
 */
final case class BlockMetrics(nodes: Array[Option[OperatorMetrics]]) {
  /** Adds what one task's plan has counted (see `Stream.nodeMetrics`), whose first `above` relations are no operator's. */
  def add(counted: Array[Long], above: Int): Unit = {
    val width = counted(0).toInt
    nodes.zipWithIndex.foreach { case (metrics, node) =>
      val at = 1 + (above + node) * width
      if (at + width <= counted.length) {
        metrics.foreach(_.add(rows = counted(at), nanoseconds = counted(at + 2), spilled = counted(at + 3)))
      }
    }
  }
}

object BlockMetrics {
  /** For plans that come from no operator. */
  val None: BlockMetrics = BlockMetrics(Array.empty)
}

/** The metrics of one operator in Spark's UI. */
final case class OperatorMetrics(rows: SQLMetric, time: SQLMetric, spilled: SQLMetric) {
  def add(rows: Long, nanoseconds: Long, spilled: Long): Unit = {
    this.rows.add(rows)
    time.add(nanoseconds)
    this.spilled.add(spilled)
  }
}
