package org.apache.spark.sql.plasmon.execution

import java.util.concurrent.{Executors, ScheduledExecutorService, TimeUnit}

import scala.collection.mutable

import dev.plasmon.Builds

/**
 * Tables of broadcast joins that all tasks of an executor share: the first one builds it, the others probe it. A table goes when no task has used it for a
 * while; the tasks of a stage follow each other closely, and nothing tells an executor that a query is over.
 */
private[plasmon] object SharedBuilds {
  /** Seconds for which a table stays that no task uses. */
  private val IdleSeconds = 5L

  private final class Use(var tasks: Int, var generation: Long)
  private val uses = mutable.HashMap.empty[String, Use]

  private lazy val timer: ScheduledExecutorService = Executors.newSingleThreadScheduledExecutor { work =>
    val thread = new Thread(work, "plasmon-shared-builds")
    thread.setDaemon(true)
    thread
  }

  /** A task begins that may use the table of that name. */
  def retain(name: String): Unit = synchronized {
    val use = uses.getOrElseUpdate(name, {
      Builds.retain(name)
      new Use(0, 0)
    })
    use.tasks += 1
    use.generation += 1
  }

  /** The task is over. */
  def release(name: String): Unit = synchronized {
    uses.get(name).foreach { use =>
      use.tasks -= 1
      if (use.tasks == 0) {
        val seen = use.generation
        timer.schedule((() => forget(name, seen)): Runnable, IdleSeconds, TimeUnit.SECONDS)
      }
    }
  }

  private def forget(name: String, seen: Long): Unit = synchronized {
    uses.get(name).filter(use => use.tasks == 0 && use.generation == seen).foreach { _ =>
      uses.remove(name)
      Builds.release(name)
    }
  }
}
