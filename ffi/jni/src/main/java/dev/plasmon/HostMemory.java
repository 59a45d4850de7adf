package dev.plasmon;

/**
 * The program's memory manager, which the queries of a session ask before they allocate. It is called on the threads that run the queries, several at a time
 * when there are several, with none of the library's locks held, and may call into the library. What it throws counts as no.
 */
public interface HostMemory {
  /** Whether the library may allocate so many bytes more: all of them or none. Asked for some megabytes at a time. */
  boolean reserve(long bytes);

  /** Takes back so many of the bytes that were reserved. */
  void release(long bytes);

  /** Please free bytes elsewhere; how many were freed. Called once before the library takes a refusal for an answer. */
  long spill(long bytes);
}
