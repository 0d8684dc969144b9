#!/usr/bin/env bash
# Package: org.bytedeco:javacpp 1.5.13 (Maven Central), JDK 17 to 25, Linux x86-64; without its natives jar.
#
# Behaviour: a class loader that has initialised org.bytedeco.javacpp.Pointer is never collected. The class starts a thread "JavaCPP Deallocator"
# that runs until the JVM ends, and a thread keeps the class loader of its classes. With -Dorg.bytedeco.javacpp.noPointerGC=true there is no such
# thread and the loader is collected; the property is read once, when the class is initialised.
#
# Expected: a loader that nothing refers to any more is collected, as the JVM does with the rest of the library.
#
# Output seen:
#   usual: 0 of 2 loaders collected, thread JavaCPP Deallocator runs
#   noPointerGC: 2 of 2 loaders collected
#
# Why it matters: each redeployment in a server keeps all classes of the application, and what their static fields hold. All presets (CUDA, MKL,
# OpenBLAS, PyTorch) load this class. The property also ends the release of pointers that a program forgot to close.
set -euo pipefail
version=1.5.13
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

cat >pom.xml <<XML
<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion><groupId>org.example</groupId><artifactId>finding</artifactId><version>1</version>
  <dependencies>
    <dependency><groupId>org.bytedeco</groupId><artifactId>javacpp</artifactId><version>$version</version></dependency>
  </dependencies>
</project>
XML
mvn -B -q -ntp dependency:copy-dependencies -DoutputDirectory="$work/lib"

cat >Main.java <<'JAVA'
import java.io.File;
import java.lang.ref.WeakReference;
import java.net.URL;
import java.net.URLClassLoader;
import java.util.ArrayList;
import java.util.List;

public class Main {
  private static WeakReference<ClassLoader> use(URL jar) throws Exception {
    try (URLClassLoader loader = new URLClassLoader(new URL[] {jar}, ClassLoader.getPlatformClassLoader())) {
      Class.forName("org.bytedeco.javacpp.Pointer", true, loader);
      return new WeakReference<>(loader);
    }
  }

  public static void main(String[] jar) throws Exception {
    List<WeakReference<ClassLoader>> loaders = new ArrayList<>();
    for (int i = 0; i < 2; i++) loaders.add(use(new File(jar[0]).toURI().toURL()));
    for (int i = 0; i < 20; i++) {
      System.gc();
      Thread.sleep(20);
    }
    boolean runs = Thread.getAllStackTraces().keySet().stream().anyMatch(thread -> thread.getName().equals("JavaCPP Deallocator"));
    System.out.println(
        loaders.stream().filter(loader -> loader.get() == null).count() + " of 2 loaders collected" + (runs ? ", thread JavaCPP Deallocator runs" : ""));
  }
}
JAVA
javac Main.java
usual=$(java -cp . Main "lib/javacpp-$version.jar")
without=$(java -Dorg.bytedeco.javacpp.noPointerGC=true -cp . Main "lib/javacpp-$version.jar")
echo "usual: $usual"
echo "noPointerGC: $without"
[[ "$usual" == "0 of 2 loaders collected, thread JavaCPP Deallocator runs" ]] || { echo "changed: a loader is collected"; exit 1; }
[[ "$without" == "2 of 2 loaders collected" ]] || { echo "changed: noPointerGC does not free the loaders"; exit 1; }
