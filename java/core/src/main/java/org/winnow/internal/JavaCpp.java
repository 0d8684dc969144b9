package org.winnow.internal;

import java.util.HashMap;
import java.util.Map;
import org.bytedeco.javacpp.Loader;
import org.bytedeco.javacpp.Pointer;
import org.jspecify.annotations.Nullable;

/**
 * Loads natives with JavaCPP. What Winnow needs to be set for that are system properties, which
 * JavaCPP reads once when its classes are initialised. They are set while it loads and restored
 * afterwards, and a property that the program has set stays as it is.
 */
final class JavaCpp {
  static final String CACHE_DIRECTORY = "org.bytedeco.javacpp.cachedir";

  /** {@code true} leaves JavaCPP's garbage collection of native memory on in every class loader. */
  static final String GC_SWITCH = "winnow.javacpp.gc";

  /** One in the JVM, as equal literals are. JavaCPP's own locks are taken inside it. */
  private static final String LOCK = "org.winnow.internal.JavaCpp: system properties";

  private JavaCpp() {}

  /**
   * @param directory where the natives are, or null to find them on the class or module path
   * @param cache where to unpack them, or null for JavaCPP's own directory
   * @return the path of the JNI library
   */
  static String load(Class<?> binding, @Nullable String directory, @Nullable String cache) {
    Map<String, String> wanted = new HashMap<>();
    // By default JavaCPP fails once the process uses more memory than a multiple of the Java heap.
    // Weights lie outside the heap, so the limit is turned off.
    wanted.put("org.bytedeco.javacpp.maxPhysicalBytes", "0");
    wanted.put("org.bytedeco.javacpp.maxBytes", "0");
    if (cache != null) wanted.put(CACHE_DIRECTORY, cache);
    if (directory != null) wanted.put("org.bytedeco.javacpp.pathsFirst", "true");
    if (mustNotKeepLoader()) wanted.put("org.bytedeco.javacpp.noPointerGC", "true");
    synchronized (LOCK) { // another class loader's Winnow must not see them, nor restore them
      wanted.keySet().removeIf(property -> System.getProperty(property) != null);
      wanted.forEach(System::setProperty);
      try {
        if (directory != null) Loader.loadProperties().setProperty("platform.linkpath", directory);
        return Loader.load(binding);
      } finally {
        wanted.keySet().forEach(System::clearProperty);
      }
    }
  }

  /**
   * JavaCPP frees objects that a program has forgotten to close from a thread of its own, which
   * keeps its class loader for as long as the JVM runs. Winnow leaves nothing to that thread. So it
   * is not started, except where it does no harm or where others need it: in the loader of the
   * application, which is never collected, where another loader has JavaCPP, and where the program
   * says so.
   */
  private static boolean mustNotKeepLoader() {
    ClassLoader own = JavaCpp.class.getClassLoader();
    if (Boolean.getBoolean(GC_SWITCH) || own != Pointer.class.getClassLoader()) return false;
    for (ClassLoader l = ClassLoader.getSystemClassLoader(); l != null; l = l.getParent())
      if (l == own) return false;
    return true;
  }
}
