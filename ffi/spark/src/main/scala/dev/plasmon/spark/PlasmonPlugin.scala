package dev.plasmon.spark

import java.util.{Collections, Map => JavaMap}

import dev.plasmon.Session
import org.apache.spark.{SparkConf, SparkContext}
import org.apache.spark.api.plugin.{DriverPlugin, ExecutorPlugin, PluginContext, SparkPlugin}
import org.apache.spark.internal.Logging

import org.apache.spark.sql.plasmon.PlasmonPluginAccess
import org.apache.spark.sql.plasmon.execution.NativeReader
import org.apache.spark.sql.plasmon.expression.NativeCheck

/** `spark.plugins=dev.plasmon.spark.PlasmonPlugin`: the one setting that puts queries on the native engine. */
class PlasmonPlugin extends SparkPlugin {
  override def driverPlugin(): DriverPlugin = new PlasmonDriverPlugin
  override def executorPlugin(): ExecutorPlugin = new PlasmonExecutorPlugin
}

/** Adds extension and listener to the configuration, before the first session is made. A library that does not load leaves Spark as it is. */
private class PlasmonDriverPlugin extends DriverPlugin with Logging {
  override def init(context: SparkContext, plugin: PluginContext): JavaMap[String, String] = {
    PlasmonPlugin.loadFailure.orElse(PlasmonPlugin.configurationFailure(context.getConf)) match {
      case None =>
        NativeCheck.install(NativeReader.refusal, NativeReader.failure)
        PlasmonPluginAccess.register(context, classOf[PlasmonExtensions].getName, classOf[PlasmonListener].getName)
      case Some(reason) => logWarning(s"Plasmon is off, queries run in Spark alone: $reason")
    }
    Collections.emptyMap()
  }
}

/** Loads the library when an executor starts, so that the first task does not wait for it. */
private class PlasmonExecutorPlugin extends ExecutorPlugin with Logging {
  override def init(plugin: PluginContext, extra: JavaMap[String, String]): Unit =
    PlasmonPlugin.loadFailure.foreach(reason => logError(s"Plasmon's library is missing on this executor; its native tasks will fail: $reason"))
}

object PlasmonPlugin {
  /** Why the engine must not be used under this configuration: its memory is off-heap memory of Spark's, which there has to be. */
  def configurationFailure(conf: SparkConf): Option[String] =
    if (conf.getBoolean("spark.memory.offHeap.enabled", defaultValue = false)) None
    else Some("spark.memory.offHeap.enabled is not true; set it, and spark.memory.offHeap.size to what native operators may use")

  /** Why the native library cannot be used in this JVM; `None` when it is loaded. */
  lazy val loadFailure: Option[String] =
    try {
      Session.version()
      None
    } catch {
      case e: LinkageError => Some(e.getMessage)
    }
}
