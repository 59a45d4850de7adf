package dev.plasmon;

/** Who can mend a failure. */
public enum ErrorClass {
  /** The program that calls the library. */
  CALLER(1),
  /** Who wrote the statement. */
  USER(2),
  /** Who keeps the data, files and stores. */
  DATA(3),
  /** Who runs the machine: memory, deadlines, cancellation. */
  OPERATOR(4),
  /** The library's makers. */
  LIBRARY(5);

  private final int number;

  ErrorClass(int number) {
    this.number = number;
  }

  /** The number that stands for it everywhere. */
  public int number() {
    return number;
  }
}
