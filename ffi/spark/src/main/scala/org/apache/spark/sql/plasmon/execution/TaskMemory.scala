package org.apache.spark.sql.plasmon.execution

import dev.plasmon.{HostMemory, Session}
import org.apache.spark.TaskContext
import org.apache.spark.memory.{MemoryConsumer, MemoryMode}

/**
 * The task's share of Spark's memory as the engine's budget, both ways: what the engine reserves is acquired from Spark, which may spill other consumers
 * for it; and when others need memory, Spark asks here and the engine spills.
 *
 * Spark calls `spill` on the thread that asks, with the task's memory manager locked. Between two steps of the engine (this thread is then in Spark's code)
 * what stands still is spilled at once; when the engine itself asks for more, it has done that before.
 */
private[plasmon] final class TaskMemory(context: TaskContext, session: Session) extends HostMemory {
  private val manager = context.taskMemoryManager()
  private val consumer = new Consumer
  private var isAsking = false
  private var isClosed = false

  private final class Consumer extends MemoryConsumer(manager, manager.pageSizeBytes(), MemoryMode.OFF_HEAP) {
    override def spill(size: Long, trigger: MemoryConsumer): Long =
      if ((trigger eq this) || isAsking || isClosed) 0 else session.spill(size)
  }

  override def reserve(bytes: Long): Boolean = synchronized {
    isAsking = true
    try {
      val granted = consumer.acquireMemory(bytes)
      if (granted < bytes && granted > 0) consumer.freeMemory(granted)
      granted >= bytes
    } finally isAsking = false
  }

  override def release(bytes: Long): Unit = synchronized(consumer.freeMemory(bytes))

  /** `reserve` has made other consumers of the task spill already. */
  override def spill(bytes: Long): Long = 0

  /** Gives back what is left, after the session has. */
  def close(): Unit = synchronized {
    isClosed = true
    val left = consumer.getUsed
    if (left > 0) consumer.freeMemory(left)
  }
}
