package org.winnow.cpu;

import org.bytedeco.javacpp.Loader;
import org.winnow.internal.NativeLoader;

/** The native library behind the CPU backend: which it is, and why it is not there if it is not. */
public final class NativeLibrary {
  private NativeLibrary() {}

  /**
   * The platform that this Java runs on, as classifiers of natives jars name it: {@code
   * "linux-x86_64"}.
   */
  public static String platform() {
    return Loader.getPlatform();
  }

  /** Null if the library is loaded or can be, else one line with the reason and what to do. */
  public static String unavailabilityCause() {
    try {
      NativeLoader.load();
      return null;
    } catch (UnsatisfiedLinkError e) {
      return e.getMessage();
    }
  }

  /**
   * The file that was loaded.
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
}
