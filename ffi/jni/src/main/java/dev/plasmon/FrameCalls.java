package dev.plasmon;

import java.lang.System.Logger.Level;

/** A {@link FrameSource} as the native library calls it: nothing is thrown from here, and what was thrown is remembered. */
final class FrameCalls implements Thrower {
  private final FrameSource source;
  private volatile Throwable thrown;

  FrameCalls(FrameSource source) {
    this.source = source;
  }

  static FrameCalls of(FrameSource source) {
    return source == null ? null : new FrameCalls(source);
  }

  byte[] next() {
    try {
      return source.next();
    } catch (Throwable t) {
      thrown = t;
      return null;
    }
  }

  /** What was thrown, as a text; null: nothing. */
  byte[] message() {
    Throwable t = thrown;
    if (t == null) {
      return null;
    }
    try {
      return Text.utf8(t.toString());
    } catch (Throwable again) {
      return Text.utf8(t.getClass().getName());
    }
  }

  void close() {
    try {
      source.close();
    } catch (Throwable t) {
      NativeHandle.LOGGER.log(Level.WARNING, "a source of frames failed to close", t);
    }
  }

  @Override
  public Throwable thrown() {
    return thrown;
  }
}
