package dev.plasmon;

/** Kind of a failure; the numbers are those of every other host and never change. */
public enum ErrorCode {
  /** An argument is null, out of range, or no text. */
  INVALID_ARGUMENT(1, ErrorClass.CALLER),
  /** The object is closed. */
  INVALID_HANDLE(2, ErrorClass.CALLER),
  /** An Arrow struct breaks the C Data Interface, or its data is malformed. */
  INVALID_ARROW(3, ErrorClass.CALLER),
  /** The call is out of order: the rows were exported, the stream was taken. */
  INVALID_STATE(4, ErrorClass.CALLER),
  /** A call on the same object is under way, on another thread or further up this one's stack. */
  BUSY(5, ErrorClass.CALLER),
  /** The native library is not the one that these classes came with. */
  UNSUPPORTED_VERSION(6, ErrorClass.CALLER),
  /** The statement, an option or a name is wrong. */
  USER(10, ErrorClass.USER),
  /** A value cannot be computed: overflow, division by zero, a bad cast. */
  DATA(11, ErrorClass.DATA),
  /** Valid, but the engine has no way to run it. */
  UNSUPPORTED(12, ErrorClass.USER),
  /** A file or store failed, or holds malformed bytes. */
  IO(13, ErrorClass.DATA),
  /** The memory budget is used up. */
  OUT_OF_MEMORY(14, ErrorClass.OPERATOR),
  /** Cancelled by its owner. */
  CANCELLED(15, ErrorClass.OPERATOR),
  /** Ran past its deadline. */
  DEADLINE(16, ErrorClass.OPERATOR),
  /** An object or stream of the program's own failed; the exception's cause is what it threw. */
  HOST(17, ErrorClass.CALLER),
  /** A bug in the library. */
  INTERNAL(20, ErrorClass.LIBRARY);

  private final int number;
  private final ErrorClass errorClass;

  ErrorCode(int number, ErrorClass errorClass) {
    this.number = number;
    this.errorClass = errorClass;
  }

  /** The number that stands for it everywhere. */
  public int number() {
    return number;
  }

  /** Who can mend it. */
  public ErrorClass errorClass() {
    return errorClass;
  }

  /** The code of a number; {@link #INTERNAL} for one that there is not. */
  static ErrorCode of(int number) {
    for (ErrorCode code : values()) {
      if (code.number == number) {
        return code;
      }
    }
    return INTERNAL;
  }
}
