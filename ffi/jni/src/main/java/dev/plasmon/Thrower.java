package dev.plasmon;

/** Something of the program's that a query calls, and that may have thrown something. */
interface Thrower {
  /** What it threw; null: nothing. */
  Throwable thrown();
}
