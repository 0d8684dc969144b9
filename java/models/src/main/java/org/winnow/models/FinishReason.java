package org.winnow.models;

/** Why a generation ended. */
public enum FinishReason {
  /** A stop id was chosen. */
  STOP,
  /** As many tokens as were asked for. */
  LENGTH,
  /**
   * Through {@link Cancellation}, an interrupt of the generating thread, or {@link
   * LanguageModel#close()}.
   */
  CANCELLED
}
