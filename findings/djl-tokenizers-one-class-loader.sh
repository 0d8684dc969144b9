#!/usr/bin/env bash
# Package: ai.djl.huggingface:tokenizers 0.38.0 (Maven Central), JDK 17 to 25, Linux x86-64.
#
# Behaviour: the first class loader of a JVM that uses the library works. In a second one its first use throws UnsatisfiedLinkError
# ("already loaded in another classloader"): the native library is loaded from one fixed path in the cache directory, and the JVM lets one class
# loader at a time load a path.
#
# Expected: as many class loaders as a server has applications, as with libraries that load a private copy per loader.
#
# Output seen:
#   loader 1: [In, Ġthe]
#   loader 2: UnsatisfiedLinkError: ... already loaded in another classloader
#
# Why it matters: web servers, build daemons, notebooks and plug-in hosts load a library once per application or redeployment. A program there
# either shares the library in a parent loader or loads a copy of its native file itself.
set -euo pipefail
version=0.38.0
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

cat >pom.xml <<XML
<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion><groupId>org.example</groupId><artifactId>finding</artifactId><version>1</version>
  <dependencies>
    <dependency><groupId>ai.djl.huggingface</groupId><artifactId>tokenizers</artifactId><version>$version</version></dependency>
    <dependency><groupId>org.slf4j</groupId><artifactId>slf4j-nop</artifactId><version>2.0.17</version></dependency>
  </dependencies>
</project>
XML
mvn -B -q -ntp dependency:copy-dependencies -DoutputDirectory="$work/lib"

cat >tokenizer.json <<'JSON'
{"version": "1.0", "truncation": null, "padding": null, "added_tokens": [], "normalizer": null,
 "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": true}, "post_processor": null,
 "decoder": {"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": true},
 "model": {"type": "BPE", "dropout": null, "unk_token": null, "continuing_subword_prefix": null, "end_of_word_suffix": null, "fuse_unk": false,
  "byte_fallback": false, "vocab": {"I": 0, "n": 1, "\u0120": 2, "t": 3, "h": 4, "e": 5, "In": 6, "th": 7, "the": 8, "\u0120the": 9},
  "merges": ["I n", "t h", "th e", "\u0120 the"]}}
JSON

mkdir -p use main
cat >use/Use.java <<'JAVA'
import ai.djl.huggingface.tokenizers.HuggingFaceTokenizer;
import java.nio.file.Path;
import java.util.Arrays;

public class Use {
  public static String tokens(String file) throws Exception {
    try (HuggingFaceTokenizer tokenizer = HuggingFaceTokenizer.newInstance(Path.of(file))) {
      return Arrays.toString(tokenizer.encode("In the", false, false).getTokens());
    }
  }
}
JAVA
cat >main/Main.java <<'JAVA'
import java.lang.reflect.InvocationTargetException;
import java.net.URL;
import java.net.URLClassLoader;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;

public class Main {
  public static void main(String[] folders) throws Exception {
    List<URL> urls = new ArrayList<>(List.of(Path.of(folders[0]).toUri().toURL()));
    try (var jars = Files.list(Path.of(folders[1]))) {
      for (Path jar : (Iterable<Path>) jars::iterator) urls.add(jar.toUri().toURL());
    }
    for (int i = 1; i <= 2; i++) {
      try (URLClassLoader loader = new URLClassLoader(urls.toArray(new URL[0]), ClassLoader.getPlatformClassLoader())) {
        Thread.currentThread().setContextClassLoader(loader);
        System.out.println("loader " + i + ": " + loader.loadClass("Use").getMethod("tokens", String.class).invoke(null, "tokenizer.json"));
      } catch (InvocationTargetException e) {
        Throwable cause = e.getCause();
        while (cause.getCause() != null) cause = cause.getCause();
        System.out.println("loader " + i + ": " + cause.getClass().getSimpleName() + ": " + cause.getMessage());
      }
    }
  }
}
JAVA
javac -d use -cp "lib/*" use/Use.java
javac -d main main/Main.java
export OPT_OUT_TRACKING=true DJL_OFFLINE=true RUST_FLAVOR=cpu DJL_CACHE_DIR="$work/cache"
java -cp main Main use/ lib | tee seen
grep -q '^loader 1: \[In, Ġthe\]' seen || { echo "changed: the first class loader does not work"; exit 1; }
grep -q '^loader 2: UnsatisfiedLinkError: .*already loaded in another classloader' seen || { echo "changed: the second class loader behaves otherwise"; exit 1; }
