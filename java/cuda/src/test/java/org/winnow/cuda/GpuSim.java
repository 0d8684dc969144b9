package org.winnow.cuda;

import java.nio.file.Files;
import java.nio.file.Path;

/**
 * The stand-in for a GPU and its driver (native/gpusim): executes the kernels' PTX, finds what they
 * do wrong and counts what they do. Tests run on it unless {@code winnow.test.driver} is {@code
 * real}.
 */
public final class GpuSim {
  private static final String CAUSE = load();

  private GpuSim() {}

  /**
   * How kernels are executed from now on.
   *
   * @param seed of the order of warps and of queued work
   * @param lazyAsyncCopies copies into shared memory arrive when they are waited for, else at once
   * @param checks races and uninitialised memory
   */
  static native void configure(long seed, boolean lazyAsyncCopies, boolean checks);

  /** Other devices from now on: contexts and memory of those before are lost. */
  static native void configureDevices(int numDevices, int computeCapability, long memoryBytes);

  /** JSON of what happened since the last call, see {@link GpuReport}. */
  static native String takeReports();

  /** Forgets which bytes kernels have read. */
  static native void resetTouched();

  /** How many bytes of that range kernels have read. */
  static native long distinctBytesRead(long address, long sizeBytes);

  /** Since the process began. */
  static native long bytesCopiedToDevice();

  /** Whether tests run on the stand-in: only there is anything counted. */
  static boolean isLoaded() {
    return CAUSE == null;
  }

  /** Why tests do not run on the stand-in, or null. */
  static String cause() {
    return CAUSE;
  }

  /** Where the build has put the stand-in's libraries. */
  static Path directory() {
    return Path.of(System.getProperty("winnow.gpusim", "target/gpusim"));
  }

  private static String load() {
    if (System.getProperty("winnow.test.driver", "gpusim").equals("real"))
      return "tests run on the machine's own driver";
    for (String library : new String[] {"libcuda.so.1", "libcudart.so.13"}) {
      Path path = directory().resolve(library).toAbsolutePath();
      if (!Files.exists(path)) return "the stand-in for a GPU was not built: no " + path;
      System.load(path.toString()); // the presets, loaded later, find it by its name
    }
    return null;
  }
}
