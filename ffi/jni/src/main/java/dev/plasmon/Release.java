package dev.plasmon;

import java.lang.System.Logger.Level;

/** Actions at the release of structs, as the native library calls them: nothing is thrown from here. */
final class Release {
  private Release() {}

  static void run(Object action) {
    try {
      ((Runnable) action).run();
    } catch (Throwable t) {
      NativeHandle.LOGGER.log(Level.WARNING, "an action at the release of an Arrow struct failed", t);
    }
  }
}
