package org.winnow.models;

/** Why a generation ended. */
public enum FinishReason {
  /** The model chose a stop token. */
  STOP,
  /** The requested number of tokens was generated. */
  LENGTH,
  /**
   * By a {@link Cancellation}, by an interrupt of the generating thread, or by {@link
   * LanguageModel#close()}.
   */
  CANCELLED
}
