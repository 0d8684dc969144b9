package org.winnow.models;

import ai.djl.huggingface.tokenizers.jni.LibUtils;
import ai.djl.huggingface.tokenizers.jni.TokenizersLibrary;
import java.nio.file.Path;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;
import org.winnow.cpu.NativeLibrary;

/**
 * Loads the native library of the tokenizers' jar, once for each class loader. No system property
 * changes, except as said at {@link #loadForItsOwnLoader}. Nothing is read from the network.
 *
 * <p>A JVM ties a library's file to the class loader that loaded it. So a second class loader gets
 * a copy of the file, which is deleted as soon as it is loaded.
 */
final class TokenizersNatives {
  /** Names the library's file or its directory; the tokenizers' own Java classes read it too. */
  private static final String OVERRIDE = "RUST_LIBRARY_PATH";

  private static @Nullable TokenizersLibrary loaded;
  private static @Nullable UnsatisfiedLinkError failure;

  private TokenizersNatives() {}

  /**
   * The library, loaded at the first call.
   *
   * @throws UnsatisfiedLinkError naming the directories tried and what to set
   */
  static synchronized TokenizersLibrary library() {
    if (loaded != null) return loaded;
    if (failure != null)
      throw link(String.valueOf(failure.getMessage()), failure); // the reason does not change
    try {
      load();
      loaded = TokenizersLibrary.LIB;
      return loaded;
    } catch (UnsatisfiedLinkError e) {
      failure = e;
      throw e;
    }
  }

  private static void load() {
    boolean isShared =
        TokenizersLibrary.class.getClassLoader() != TokenizersNatives.class.getClassLoader();
    Consumer<Path> loader =
        isShared ? TokenizersNatives::loadForItsOwnLoader : path -> System.load(path.toString());
    String given = System.getProperty(OVERRIDE, System.getenv(OVERRIDE));
    if (given != null) {
      Path path = Path.of(given).toAbsolutePath();
      loadFrom(
          path.endsWith(TokenizersCache.FILE) ? path : path.resolve(TokenizersCache.FILE), loader);
      return;
    }
    StringBuilder tried = new StringBuilder();
    for (Path directory : NativeLibrary.cacheDirectories()) {
      try {
        Path file = TokenizersCache.unpack(directory);
        try {
          loadFrom(file, loader);
          return;
        } catch (UnsatisfiedLinkError e) {
          TokenizersCache.discard(file); // programs may not be run from there
          throw e;
        }
      } catch (UnsatisfiedLinkError | TokenizersCache.UnusableException e) {
        tried.append(tried.isEmpty() ? "" : "; ").append(directory).append(": ");
        tried.append(e.getMessage());
      }
    }
    throw link(
        "the tokenizers' native library cannot be loaded ("
            + tried
            + "); name a directory that can be written and that programs may be run from in"
            + " XDG_CACHE_HOME, or unpack "
            + TokenizersCache.RESOURCE
            + " from the tokenizers' jar and name its directory in "
            + OVERRIDE,
        null);
  }

  /** Loads a file, or a copy of it if another class loader has loaded it. */
  private static void loadFrom(Path file, Consumer<Path> loader) {
    try {
      loader.accept(file);
    } catch (UnsatisfiedLinkError e) {
      if (!String.valueOf(e.getMessage()).contains("already loaded in another")) throw e;
      TokenizersCache.withCopy(file, loader);
    }
  }

  /**
   * Loads the library for classes that belong to another class loader than Winnow's, as in a
   * container that shares the tokenizers' jar. Only their own loading does that. It reads a system
   * property, which is set for the time of the call.
   */
  private static void loadForItsOwnLoader(Path file) {
    // a library that cannot be loaded would end that class: a copy shows it before
    TokenizersCache.withCopy(file, copy -> System.load(copy.toString()));
    TokenizersCache.withCopy(
        file,
        copy -> {
          synchronized (System.getProperties()) { // common to all class loaders
            String before = System.getProperty(OVERRIDE);
            System.setProperty(OVERRIDE, copy.toString());
            try {
              LibUtils.checkStatus();
            } finally {
              if (before == null) System.clearProperty(OVERRIDE);
              else System.setProperty(OVERRIDE, before);
            }
          }
        });
  }

  private static UnsatisfiedLinkError link(String message, @Nullable Throwable cause) {
    UnsatisfiedLinkError error = new UnsatisfiedLinkError(message);
    error.initCause(cause);
    return error;
  }
}
