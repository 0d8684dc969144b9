package org.winnow.models;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.File;
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

  /** 60 models that are open take 123 MB. 20 that are closed add up to 17 MB, by chance. */
  private static final long TOLERANCE_BYTES = 50 << 20;

  @Test
  void modelsLeaveNoFilesOrThreadsBehind() throws Exception {
    for (int i = 0; i < 5; i++) openAndDrop();
    awaitTrue(() -> OpenFiles.count() == 0);
    long threads = OpenFiles.threads();
    for (int i = 0; i < 20; i++) openAndDrop();
    awaitTrue(() -> OpenFiles.count() == 0 && OpenFiles.threads() <= threads);
  }

  @Test
  void modelsLeaveNoMemoryBehind() throws Exception {
    assertThat(OwnProcess.numberPrintedBy(UnclosedModelsTest.class)).isLessThan(TOLERANCE_BYTES);
  }

  /** Prints by how many bytes 60 models that were not closed let the process grow. */
  public static void main(String[] args) throws Exception {
    for (int i = 0; i < 240; i++) openAndDrop(); // until the allocator has all that it keeps
    long memory = settledMemory();
    for (int i = 0; i < 60; i++) openAndDrop();
    System.out.println(settledMemory() - memory);
  }

  private static long settledMemory() throws Exception {
    awaitTrue(() -> OpenFiles.count() == 0);
    for (int i = 0; i < 8; i++) { // what was found last is released after its files
      System.gc();
      Thread.sleep(50);
    }
    return OpenFiles.residentBytes();
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
