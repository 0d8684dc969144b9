package org.winnow.internal;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.File;
import java.lang.ref.WeakReference;
import java.net.URL;
import java.net.URLClassLoader;
import java.util.ArrayList;
import java.util.List;
import java.util.Properties;
import org.bytedeco.javacpp.Pointer;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** What JavaCPP does for a program that uses it besides Winnow. */
@Timeout(60)
class JavaCppTest {
  @AfterEach
  void clearSwitch() {
    System.clearProperty(JavaCpp.GC_SWITCH);
  }

  @Test
  void theApplicationKeepsItsCollectionOfNativeMemory() {
    Properties before = (Properties) System.getProperties().clone();
    NativeLoader.load();
    assertThat(collectors(Pointer.class.getClassLoader())).hasSize(1);
    assertThat(System.getProperties()).isEqualTo(before);
  }

  @Test
  void aLoaderThatCanBeCollectedHasNoThread() throws Exception {
    awaitCollected(loadInNewLoader(false));
  }

  @Test
  void theSwitchLeavesCollectionOn() throws Exception {
    System.setProperty(JavaCpp.GC_SWITCH, "true");
    awaitCollected(loadInNewLoader(true)); // after the program has ended the thread
  }

  private static WeakReference<ClassLoader> loadInNewLoader(boolean collects) throws Exception {
    List<URL> urls = new ArrayList<>();
    for (String entry : System.getProperty("java.class.path").split(File.pathSeparator))
      urls.add(new File(entry).toURI().toURL());
    try (URLClassLoader loader =
        new URLClassLoader(urls.toArray(new URL[0]), ClassLoader.getPlatformClassLoader())) {
      loader.loadClass(NativeLoader.class.getName()).getMethod("load").invoke(null);
      assertThat(collectors(loader)).hasSize(collects ? 1 : 0);
      if (collects)
        loader
            .loadClass(Pointer.class.getName())
            .getMethod("interruptDeallocatorThread")
            .invoke(null);
      return new WeakReference<>(loader);
    }
  }

  /** The threads with which that loader's JavaCPP frees what was collected. */
  private static List<Thread> collectors(ClassLoader loader) {
    return Thread.getAllStackTraces().keySet().stream()
        .filter(thread -> thread.getClass().getClassLoader() == loader)
        .filter(thread -> thread.getName().equals("JavaCPP Deallocator"))
        .toList();
  }

  private static void awaitCollected(WeakReference<ClassLoader> loader) throws Exception {
    for (int i = 0; loader.get() != null; i++) {
      assertThat(i).as("rounds of collection").isLessThan(200);
      System.gc();
      Thread.sleep(50);
    }
  }
}
