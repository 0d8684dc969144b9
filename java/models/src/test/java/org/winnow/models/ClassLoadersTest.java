package org.winnow.models;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.File;
import java.lang.ref.WeakReference;
import java.net.MalformedURLException;
import java.net.URL;
import java.net.URLClassLoader;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Properties;
import org.junit.jupiter.api.Test;

/** Several class loaders of one JVM have their own Winnow, as applications of a container do. */
class ClassLoadersTest {
  private static final String TEXT = "In the beginning God created the heaven";

  /** Runs inside each class loader. */
  public static final class Generating {
    private Generating() {}

    public static String run(String folder, String prompt) {
      try (LanguageModel model = LanguageModel.open(Path.of(folder), LoadOptions.defaults())) {
        return model.generate(prompt, GenerateOptions.greedy(6), TokenListener.NONE).text();
      }
    }
  }

  @Test
  void eachGeneratesAndIsCollected() throws Exception {
    Properties before = (Properties) System.getProperties().clone();
    String expected = Generating.run(Goldens.kjvMoe().toString(), TEXT);
    List<WeakReference<ClassLoader>> closed = new ArrayList<>();
    URLClassLoader open = newLoader(); // used at the same time as the others
    assertThat(generate(open)).isEqualTo(expected).isNotEmpty();
    for (int i = 0; i < 3; i++) closed.add(useOnce(expected));
    assertThat(generate(open)).isEqualTo(expected);
    open.close();
    for (int i = 0; i < 100 && closed.stream().anyMatch(l -> l.get() != null); i++) {
      System.gc();
      Thread.sleep(20);
    }
    assertThat(closed).allSatisfy(loader -> assertThat(loader.get()).isNull());
    assertThat(System.getProperties()).isEqualTo(before);
  }

  private static WeakReference<ClassLoader> useOnce(String expected) throws Exception {
    try (URLClassLoader loader = newLoader()) {
      assertThat(generate(loader)).isEqualTo(expected);
      return new WeakReference<>(loader);
    }
  }

  private static String generate(ClassLoader loader) throws ReflectiveOperationException {
    return (String)
        loader
            .loadClass(Generating.class.getName())
            .getMethod("run", String.class, String.class)
            .invoke(null, Goldens.kjvMoe().toString(), TEXT);
  }

  private static URLClassLoader newLoader() throws MalformedURLException {
    List<URL> urls = new ArrayList<>();
    for (String entry : System.getProperty("java.class.path").split(File.pathSeparator))
      urls.add(Path.of(entry).toUri().toURL());
    return new URLClassLoader(urls.toArray(new URL[0]), ClassLoader.getPlatformClassLoader());
  }
}
