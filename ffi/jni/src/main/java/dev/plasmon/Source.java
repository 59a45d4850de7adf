package dev.plasmon;

import java.lang.System.Logger.Level;

/** A {@link BatchSource} as the native library calls it: nothing is thrown from here, and what was thrown is remembered. */
final class Source implements Thrower {
  private static final int END = 0;
  private static final int BATCH = 1;
  private static final int FAILED = 2;

  private final BatchSource source;
  /** Threads of the library's own have another one, in which the program's classes are not found. */
  private final ClassLoader loader = Thread.currentThread().getContextClassLoader();

  private volatile Throwable thrown;

  private Source(BatchSource source) {
    this.source = source;
  }

  static Source of(BatchSource source) {
    return source == null ? null : new Source(source);
  }

  int next(long array) {
    ClassLoader before = enter();
    try {
      return source.next(array) ? BATCH : END;
    } catch (Throwable t) {
      thrown = t;
      return FAILED;
    } finally {
      leave(before);
    }
  }

  /** What was thrown, as a text. */
  byte[] message() {
    try {
      return Text.utf8(thrown.toString());
    } catch (Throwable t) {
      return Text.utf8(thrown.getClass().getName());
    }
  }

  void close() {
    ClassLoader before = enter();
    try {
      source.close();
    } catch (Throwable t) {
      NativeHandle.LOGGER.log(Level.WARNING, "a source of batches failed to close", t);
    } finally {
      leave(before);
    }
  }

  @Override
  public Throwable thrown() {
    return thrown;
  }

  private ClassLoader enter() {
    Thread thread = Thread.currentThread();
    ClassLoader before = thread.getContextClassLoader();
    if (before != loader) {
      thread.setContextClassLoader(loader);
    }
    return before;
  }

  private void leave(ClassLoader before) {
    if (before != loader) {
      Thread.currentThread().setContextClassLoader(before);
    }
  }

  /** The exception with what the sources threw as its cause, if it is theirs. */
  static PlasmonException explained(PlasmonException e, Thrower... sources) {
    if (e.code() != ErrorCode.HOST) {
      return e;
    }
    for (Thrower source : sources) {
      Throwable thrown = source == null ? null : source.thrown();
      if (thrown == null) {
        continue;
      }
      if (e.getCause() == null) {
        e.initCause(thrown);
      } else {
        e.addSuppressed(thrown);
      }
    }
    return e;
  }

  /** The exception for something of the program's own that threw {@code cause}. */
  static PlasmonException failed(String message, Exception cause) {
    if (cause instanceof InterruptedException) {
      Thread.currentThread().interrupt();
    }
    PlasmonException failure = new PlasmonException(ErrorCode.HOST, message);
    failure.initCause(cause);
    return failure;
  }
}
