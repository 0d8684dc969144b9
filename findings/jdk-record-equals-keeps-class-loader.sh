#!/usr/bin/env bash
# Package: openjdk-17-jdk-headless and -jre-headless 17.0.19+10-1~deb12u2 (Debian 12), unpacked into a temporary folder. The same with Temurin 25.0.3 in
# OTHER_JAVA_HOME, which need not be given.
#
# Behaviour: once equals of a record has compared a field of a type that a class loader defined, that loader is not collected until equals of some other
# record compares a field of another type. The generated method adapts a method handle in a static field of java.lang.runtime.ObjectMethods, and the
# handle keeps the last type that it was adapted to.
#
# Expected: a loader that nothing of the program refers to is collected, as it is if the record writes out equals.
#
# Output seen:
#   17: generated equals: kept, written out: collected
#   other: generated equals: kept, written out: collected
#
# Why it matters: a server that redeploys an application keeps all classes of the last one, and what their static fields hold: natives, threads, caches.
set -euo pipefail
version=17.0.19+10-1~deb12u2
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

apt-get download -q "openjdk-17-jre-headless=$version" "openjdk-17-jdk-headless=$version" >/dev/null 2>&1
for package in *.deb; do dpkg -x "$package" root; done
jdk=$(dirname "$(dirname "$(find "$work/root" -name javac -path "*/bin/*")")")
cp -rL --remove-destination "$(find root -path "*/etc/*" -name java-17-openjdk)/." "$jdk/conf/" # links to files of an installed package

mkdir plugin app
cat >plugin/Kind.java <<'JAVA'
public enum Kind { A }
JAVA
cat >plugin/Generated.java <<'JAVA'
public record Generated(Kind kind) {
  public static boolean use() { return new Generated(Kind.A).equals(new Generated(Kind.A)); }
}
JAVA
cat >plugin/Written.java <<'JAVA'
public record Written(Kind kind) {
  public static boolean use() { return new Written(Kind.A).equals(new Written(Kind.A)); }
  @Override public boolean equals(Object o) { return o instanceof Written w && kind == w.kind; }
  @Override public int hashCode() { return kind.hashCode(); }
}
JAVA
cat >app/Loaders.java <<'JAVA'
import java.lang.ref.WeakReference;
import java.net.URL;
import java.net.URLClassLoader;
import java.nio.file.Path;

public class Loaders {
  public static void main(String[] args) throws Exception {
    System.out.println("generated equals: " + end("Generated") + ", written out: " + end("Written"));
  }

  static String end(String record) throws Exception {
    WeakReference<ClassLoader> loader = load(record);
    for (int i = 0; i < 50 && loader.get() != null; i++) {
      System.gc();
      Thread.sleep(20);
    }
    return loader.get() == null ? "collected" : "kept";
  }

  static WeakReference<ClassLoader> load(String record) throws Exception {
    URL[] plugin = {Path.of("plugin-classes").toUri().toURL()};
    try (URLClassLoader loader = new URLClassLoader(plugin, null)) {
      loader.loadClass(record).getMethod("use").invoke(null);
      return new WeakReference<>(loader);
    }
  }
}
JAVA
"$jdk/bin/javac" -d plugin-classes plugin/*.java
"$jdk/bin/javac" -d app-classes app/*.java
seen=$("$jdk/bin/java" -cp app-classes Loaders)
echo "17: $seen"
if [[ -n "${OTHER_JAVA_HOME:-}" ]]; then echo "other: $("$OTHER_JAVA_HOME/bin/java" -cp app-classes Loaders)"; fi
[[ "$seen" == "generated equals: kept, written out: collected" ]]
