package dev.plasmon;

import java.lang.System.Logger;
import java.lang.System.Logger.Level;
import java.lang.ref.Cleaner;
import java.util.function.LongConsumer;

/**
 * An object of the native library, by its handle: a number that is never given twice, so that one that is closed is an exception and never a dangling
 * pointer. Natives that use it are methods of the object, which keeps it from being garbage while they run.
 */
abstract class NativeHandle implements AutoCloseable {
  static final Logger LOGGER = System.getLogger("dev.plasmon");

  private static final Cleaner CLEANER = Cleaner.create();

  private final State state;
  private final Cleaner.Cleanable cleanable;

  /** {@code what} names it when it is garbage and was never closed. */
  NativeHandle(long handle, String what, LongConsumer close) {
    state = new State(handle, what, close);
    cleanable = CLEANER.register(this, state);
  }

  final long handle() {
    return state.handle;
  }

  /** From now on somebody else keeps what matters of it alive: not closing it is no leak. */
  final void forgive() {
    state.isExpected = true;
  }

  /** Closes it; again, that is nothing. */
  @Override
  public final void close() {
    state.isExpected = true;
    cleanable.clean();
  }

  /** All but the object itself, which must not be reachable from here. */
  private static final class State implements Runnable {
    private final long handle;
    private final String what;
    private final LongConsumer close;
    private volatile boolean isExpected;

    State(long handle, String what, LongConsumer close) {
      this.handle = handle;
      this.what = what;
      this.close = close;
    }

    /** Once, by whoever comes first: the owner or the cleaner. */
    @Override
    public void run() {
      if (!isExpected) {
        LOGGER.log(Level.WARNING, "{0} was never closed; it is closed now that it is garbage", what);
      }
      close.accept(handle);
    }
  }
}
