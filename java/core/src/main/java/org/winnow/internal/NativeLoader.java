package org.winnow.internal;

import org.bytedeco.javacpp.Loader;

/** Loads the native library once and checks that it speaks this version's binary interface. */
public final class NativeLoader {
  /** The value of {@code kAbiVersion} in {@code winnow/base/cpu.h} that these classes were written for. */
  static final int ABI_VERSION = 1;

  private static boolean loaded;

  private NativeLoader() {}

  /** Does nothing after the first success. */
  public static synchronized void load() {
    if (loaded) return;
    // JavaCPP counts all of the process's memory against the Java heap and refuses to go on; weights live outside the heap.
    setDefault("org.bytedeco.javacpp.maxPhysicalBytes", "0");
    setDefault("org.bytedeco.javacpp.maxBytes", "0");
    Loader.load(NativeCpu.class);
    int found = NativeCpu.abi_version();
    if (found != ABI_VERSION) {
      throw new UnsatisfiedLinkError("native library speaks ABI " + found + ", these classes speak " + ABI_VERSION + ": use jars of one version");
    }
    loaded = true;
  }

  private static void setDefault(String property, String value) {
    if (System.getProperty(property) == null) System.setProperty(property, value);
  }
}
