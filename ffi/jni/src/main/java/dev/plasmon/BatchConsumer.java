package dev.plasmon;

/** Takes the batches of {@link Stream#push}. */
@FunctionalInterface
public interface BatchConsumer {
  /** One batch, at the address of its {@code ArrowArray}, as {@link Stream#next} tells it. */
  void accept(long array) throws Exception;
}
