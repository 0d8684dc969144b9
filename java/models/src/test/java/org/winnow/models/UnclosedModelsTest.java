package org.winnow.models;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.File;
import java.io.IOException;
import java.lang.ref.WeakReference;
import java.net.URL;
import java.net.URLClassLoader;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import java.util.concurrent.Callable;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** What a program forgets to close is released when it has been collected. */
@Timeout(120)
class UnclosedModelsTest {
  private static final Path MODEL = Goldens.folder("mixtral");
  private static final GenerateOptions GREEDY = GenerateOptions.greedy(3).withStopIds(Set.of());

  /** 20 models that are open take 41 MB. */
  private static final long TOLERANCE_BYTES = 12 << 20;

  @Test
  void modelsLeaveNoFilesThreadsOrMemoryBehind() throws Exception {
    for (int i = 0; i < 5; i++) openAndDrop();
    awaitTrue(() -> OpenFiles.count() == 0);
    long threads = OpenFiles.threads();
    long memory = OpenFiles.residentBytes();
    long heap = Runtime.getRuntime().totalMemory();
    for (int i = 0; i < 20; i++) openAndDrop();
    awaitTrue(() -> OpenFiles.count() == 0 && OpenFiles.threads() <= threads);
    assertThat(grown(memory, heap)).as("growth").isLessThan(TOLERANCE_BYTES);
  }

  @Test
  void sessionsOfAnOpenModelAreNotKept() throws Exception {
    try (LanguageModel model = LanguageModel.open(MODEL, LoadOptions.defaults())) {
      for (int i = 0; i < 20; i++) generateAndDrop(model);
      awaitTrue(() -> model.numSessions() == 0);
      try (Session session = model.newSession()) {
        System.gc();
        assertThat(model.numSessions()).isOne();
        assertThat(session.numTokens()).isZero();
      }
    }
  }

  /** Resident bytes outside the Java heap, since it and the process had these sizes. */
  private static long grown(long memory, long heap) throws IOException {
    long heapGrown = Math.max(0, Runtime.getRuntime().totalMemory() - heap);
    return OpenFiles.residentBytes() - memory - heapGrown;
  }

  /** An application that a container unloads, which has closed nothing. */
  @Test
  void nothingKeepsAClassLoader() throws Exception {
    String expected = ForgetfulProgram.run(MODEL.toString());
    List<WeakReference<ClassLoader>> loaders = new ArrayList<>();
    for (int i = 0; i < 3; i++) loaders.add(runInNewLoader(expected));
    awaitTrue(() -> loaders.stream().allMatch(loader -> loader.get() == null));
    assertThat(ForgetfulProgram.run(MODEL.toString())).isEqualTo(expected);
  }

  private static WeakReference<ClassLoader> runInNewLoader(String expected) throws Exception {
    List<URL> urls = new ArrayList<>();
    for (String entry : System.getProperty("java.class.path").split(File.pathSeparator))
      urls.add(new File(entry).toURI().toURL());
    try (URLClassLoader loader =
        new URLClassLoader(urls.toArray(new URL[0]), ClassLoader.getPlatformClassLoader())) {
      Class<?> program = loader.loadClass(ForgetfulProgram.class.getName());
      assertThat(program).isNotSameAs(ForgetfulProgram.class);
      assertThat(program.getMethod("run", String.class).invoke(null, MODEL.toString()))
          .isEqualTo(expected);
      return new WeakReference<>(loader);
    }
  }

  private static void openAndDrop() {
    LoadOptions options =
        LoadOptions.defaults().withBudget(ExpertBudget.ofShare(0.5)).withReadAhead(true);
    generateAndDrop(LanguageModel.open(MODEL, options.withThreads(3)));
  }

  private static void generateAndDrop(LanguageModel model) {
    model.newSession().generate(new int[] {1, 2, 3}, GREEDY, TokenListener.NONE);
  }

  private static void awaitTrue(Callable<Boolean> condition) throws Exception {
    for (int i = 0; !condition.call(); i++) {
      assertThat(i)
          .as("%d files, %d threads", OpenFiles.count(), OpenFiles.threads())
          .isLessThan(200);
      System.gc();
      Thread.sleep(50);
    }
  }
}
