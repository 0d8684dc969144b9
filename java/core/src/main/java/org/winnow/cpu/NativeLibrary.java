package org.winnow.cpu;

import java.nio.file.Path;
import java.util.List;
import org.bytedeco.javacpp.Loader;
import org.jspecify.annotations.Nullable;
import org.winnow.internal.NativeCache;
import org.winnow.internal.NativeLoader;

/** Reports the native library of the CPU backend, or why it cannot be loaded. */
public final class NativeLibrary {
  private NativeLibrary() {}

  /**
   * The current platform in the spelling of natives jars' classifiers, such as {@code
   * "linux-x86_64"}.
   */
  public static String platform() {
    return Loader.getPlatform();
  }

  /** Null if the library can be loaded; otherwise one line with the reason and the remedy. */
  public static @Nullable String unavailabilityCause() {
    try {
      NativeLoader.load();
      return null;
    } catch (UnsatisfiedLinkError e) {
      return e.getMessage();
    }
  }

  /**
   * Path of the loaded file.
   *
   * @throws UnsatisfiedLinkError if it cannot be loaded, with the reason and what to do
   */
  public static String path() {
    return NativeLoader.path();
  }

  /**
   * The version of the binary interface between the classes and the library.
   *
   * @throws UnsatisfiedLinkError if it cannot be loaded, with the reason and what to do
   */
  public static int abiVersion() {
    return NativeLoader.abiVersion();
  }

  /**
   * The directories below which natives are unpacked, in the order in which they are tried: {@code
   * $XDG_CACHE_HOME/winnow}, {@code ~/.cache/winnow}, {@code winnow-USER} below the directory for
   * temporary files.
   */
  public static List<Path> cacheDirectories() {
    return NativeCache.candidates();
  }

  /**
   * What keeps libraries from being unpacked into a directory that exists and from being loaded
   * from there, as words that follow its name; null if nothing does.
   */
  public static @Nullable String cacheRefusal(Path directory) {
    return NativeCache.probe(directory);
  }
}
