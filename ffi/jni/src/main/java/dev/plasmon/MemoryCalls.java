package dev.plasmon;

import java.lang.System.Logger.Level;

/** A {@link HostMemory} as the native library calls it: nothing is thrown from here. */
final class MemoryCalls {
  private final HostMemory memory;
  private volatile boolean hasFailed;

  private MemoryCalls(HostMemory memory) {
    this.memory = memory;
  }

  static MemoryCalls of(HostMemory memory) {
    return memory == null ? null : new MemoryCalls(memory);
  }

  boolean reserve(long bytes) {
    try {
      return memory.reserve(bytes);
    } catch (Throwable t) {
      failed("reserve", t);
      return false;
    }
  }

  void release(long bytes) {
    try {
      memory.release(bytes);
    } catch (Throwable t) {
      failed("release", t);
    }
  }

  long spill(long bytes) {
    try {
      return memory.spill(bytes);
    } catch (Throwable t) {
      failed("spill", t);
      return 0;
    }
  }

  /** Told once: it is asked again and again. */
  private void failed(String call, Throwable t) {
    if (!hasFailed) {
      hasFailed = true;
      NativeHandle.LOGGER.log(Level.WARNING, "the host's memory failed to " + call, t);
    }
  }
}
