package org.winnow.models;

import ai.djl.huggingface.tokenizers.jni.TokenizersLibrary;
import java.lang.ref.Cleaner;
import java.lang.ref.Reference;
import java.util.concurrent.locks.Lock;
import java.util.concurrent.locks.ReadWriteLock;
import java.util.concurrent.locks.ReentrantReadWriteLock;

/**
 * A tokenizer of the native library, which encodes. Thread-safe. {@link #close()} waits for running
 * calls. One that is not closed is freed when it is collected.
 *
 * <p>The library can end the process on contents that it does not expect, and on long texts. So
 * {@link Tokenizer} checks the contents.
 */
final class NativeTokenizer implements AutoCloseable {
  private static final Cleaner CLEANER = Cleaner.create();

  private final TokenizersLibrary library;
  private final long handle;
  private final Cleaner.Cleanable memory;
  // calls share the lock; close takes it exclusively, so the native object is never freed in use
  private final ReadWriteLock lock = new ReentrantReadWriteLock();
  private volatile boolean closed;

  /**
   * @param json the text of a tokenizer.json
   * @throws RuntimeException if the library refuses it
   */
  NativeTokenizer(String json) {
    library = TokenizersNatives.library();
    handle = library.createTokenizerFromString(json);
    memory = CLEANER.register(this, new Memory(library, handle));
    // ids must be neither padded nor cut to the length that the model was trained for
    library.disablePadding(handle);
    library.disableTruncation(handle);
  }

  private record Memory(TokenizersLibrary library, long handle) implements Runnable {
    @Override
    public void run() {
      library.deleteTokenizer(handle);
    }
  }

  /**
   * @throws IllegalStateException if closed
   */
  long[] encode(String text, boolean addSpecialTokens) {
    Lock shared = lock.readLock();
    shared.lock();
    try {
      requireOpen();
      long encoding = library.encode(handle, text, addSpecialTokens);
      try {
        return library.getTokenIds(encoding);
      } finally {
        library.deleteEncoding(encoding);
      }
    } finally {
      shared.unlock();
      Reference.reachabilityFence(this); // it is not freed as garbage during the call
    }
  }

  /**
   * @throws IllegalStateException if closed
   */
  void requireOpen() {
    if (closed) throw new IllegalStateException("tokenizer is closed");
  }

  @Override
  public void close() {
    Lock alone = lock.writeLock();
    alone.lock();
    try {
      closed = true;
      memory.clean();
    } finally {
      alone.unlock();
    }
  }
}
