package org.winnow.internal;

import java.io.IOException;
import java.io.InputStream;
import java.net.URL;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Objects;
import java.util.jar.Manifest;
import org.bytedeco.javacpp.Loader;
import org.jspecify.annotations.Nullable;

/**
 * Loads the native library once and checks that its binary interface has the expected version.
 *
 * <p>The system property {@code winnow.native.path} or the environment variable {@code
 * WINNOW_NATIVE_PATH} may name the library's directory. Otherwise the natives jar on the class or
 * module path is unpacked into a directory of the user's cache. The directory's name is a hash of
 * the natives, so a rebuilt library gets another directory. Each class loader gets a copy of the
 * JNI library of its own, as the JVM demands.
 */
public final class NativeLoader {
  /** Version of the binary interface that these classes were generated for. */
  static final int ABI_VERSION = NativeCodes.ABI_VERSION;

  /** The platform that natives are built for, and the classifier of their jar. */
  static final String PLATFORM = "linux-x86_64";

  private static final String JNI_LIBRARY = "libjniwinnow.so";

  private static @Nullable String path; // of the loaded JNI library
  private static @Nullable UnsatisfiedLinkError failure;

  private NativeLoader() {}

  /**
   * Loads the library. Does nothing after the first success.
   *
   * @throws UnsatisfiedLinkError naming the files, the places searched, and what to add
   */
  public static synchronized void load() {
    if (path != null) return;
    if (failure != null)
      throw link(
          String.valueOf(failure.getMessage()),
          failure); // class initialisation fails only once, so later calls repeat the first reason
    try {
      path = loadLibrary();
    } catch (UnsatisfiedLinkError e) {
      failure = e;
      throw e;
    }
  }

  /** Loads the library and returns its path. */
  public static synchronized String path() {
    load();
    return Objects.requireNonNull(path);
  }

  /** Loads the library and returns the version of its binary interface. */
  public static int abiVersion() {
    load();
    return NativeOperations.winnow_abi_version();
  }

  private static String loadLibrary() {
    @Nullable String directory =
        System.getProperty("winnow.native.path", System.getenv("WINNOW_NATIVE_PATH"));
    if (directory != null) requireNativesIn(directory);
    @Nullable String cache = directory == null ? unpackingDirectory() : null;
    String found;
    int abiVersion;
    try {
      found = JavaCpp.load(NativeCpu.class, directory, cache);
      abiVersion = NativeOperations.winnow_abi_version();
    } catch (LinkageError e) {
      String holder = directory != null ? directory : cache;
      throw link(
          holder == null || !Loader.getPlatform().equals(PLATFORM)
              ? missing(Loader.getPlatform(), version(), isModule(), e)
              : unloadable(holder, e),
          e);
    }
    if (directory != null && !normal(Path.of(found)).startsWith(normal(Path.of(directory)))) {
      throw link(
          "winnow.native.path is "
              + directory
              + " but "
              + found
              + " was loaded: JavaCPP was in use earlier;"
              + " start Java with -Dorg.bytedeco.javacpp.pathsFirst=true",
          null);
    }
    if (abiVersion != ABI_VERSION) {
      throw link(
          "native library "
              + found
              + " speaks ABI "
              + abiVersion
              + ", these classes speak "
              + ABI_VERSION
              + ": use jars of one version",
          null);
    }
    return found;
  }

  /** Absolute, without {@code .} and {@code ..}. */
  private static Path normal(Path path) {
    return path.toAbsolutePath().normalize();
  }

  private static void requireNativesIn(String directory) {
    if (!Files.isRegularFile(Path.of(directory, JNI_LIBRARY))) {
      throw link(
          "winnow.native.path must be a directory that holds libwinnow.so.1 and "
              + JNI_LIBRARY
              + ", found "
              + directory,
          null);
    }
  }

  /**
   * The directory to unpack into, named after the content. Also where natives lie in a directory, a
   * second class loader's copy goes there. Null if there are no natives, or the program has named
   * another directory to JavaCPP.
   */
  private static @Nullable String unpackingDirectory() {
    String resource = "/org/winnow/" + PLATFORM + "/natives.sha256";
    URL manifest = NativeCpu.class.getResource(resource);
    if (manifest == null)
      // on the module path another module holds the natives
      manifest = Loader.class.getResource(resource);
    @Nullable String chosen = System.getProperty(JavaCpp.CACHE_DIRECTORY);
    if (manifest == null || chosen != null) return chosen;
    try (InputStream content = manifest.openStream()) {
      return NativeCache.directory(content.readAllBytes()).toString();
    } catch (IOException e) {
      throw link(
          "natives cannot be unpacked: "
              + e.getMessage()
              + "; name a directory that can be written and holds programs in XDG_CACHE_HOME, or"
              + " unpack the natives jar yourself and name the directory of "
              + JNI_LIBRARY
              + " in -Dwinnow.native.path",
          e);
    }
  }

  /** Message for natives that were found in a directory but cannot be loaded from there. */
  static String unloadable(String directory, Throwable error) {
    Throwable root = error;
    while (root.getCause() != null) root = root.getCause();
    return "Winnow's natives cannot be loaded from "
        + directory
        + ": "
        + root.getMessage()
        + "; have them unpacked elsewhere with XDG_CACHE_HOME, or name a directory with"
        + " libwinnow.so.1 and "
        + JNI_LIBRARY
        + " in -Dwinnow.native.path";
  }

  /** Message for a class or module path without natives. */
  static String missing(String platform, String version, boolean isModule, Throwable cause) {
    if (!platform.equals(PLATFORM))
      return "Winnow has natives for " + PLATFORM + ", this machine is " + platform;
    return "Winnow's natives for "
        + platform
        + " cannot be loaded from the "
        + (isModule ? "module path (start Java with --add-modules ALL-MODULE-PATH)" : "class path")
        + ": add the jar org.winnow:winnow-core:"
        + version
        + ":"
        + platform
        + " (Maven: <classifier>"
        + platform
        + "</classifier>, <scope>runtime</scope>), or name a directory with libwinnow.so.1 and "
        + JNI_LIBRARY
        + " in -Dwinnow.native.path; cause: "
        + cause.getMessage();
  }

  private static boolean isModule() {
    return NativeLoader.class.getModule().isNamed();
  }

  private static String version() {
    @Nullable String version = NativeLoader.class.getPackage().getImplementationVersion();
    if (version == null && isModule()) version = manifestVersion(); // packages of modules have none
    return version == null ? "(this version)" : version;
  }

  private static @Nullable String manifestVersion() {
    try (InputStream manifest = NativeLoader.class.getResourceAsStream("/META-INF/MANIFEST.MF")) {
      if (manifest == null) return null; // no jar
      return new Manifest(manifest).getMainAttributes().getValue("Implementation-Version");
    } catch (IOException e) {
      return null;
    }
  }

  private static UnsatisfiedLinkError link(String message, @Nullable Throwable cause) {
    UnsatisfiedLinkError error = new UnsatisfiedLinkError(message);
    error.initCause(cause);
    return error;
  }
}
