package org.winnow.models;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.net.URI;
import java.nio.file.FileSystem;
import java.nio.file.FileSystems;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import org.assertj.core.api.AbstractThrowableAssert;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;
import org.winnow.CheckpointException;
import org.winnow.UnsupportedFormatException;

class ModelFolderTest {
  private static final String COMMIT = "0123456789abcdef0123456789abcdef01234567";
  private static final String OTHER = "0fedcba987654321000000000000000000000000";

  @TempDir Path folder;

  @Test
  void opensWhatBelongsToACheckpointAsItsFolder() throws IOException {
    Path kjv = Goldens.kjvMoe();
    for (String name : new String[] {"model.safetensors", "config.json"})
      assertThat(ModelFolder.folder(kjv.resolve(name))).isEqualTo(kjv);
    refused(Goldens.folder("mixtral").resolve("golden.safetensors"))
        .hasMessageContaining("expected the folder of a checkpoint, found a file");
  }

  @ParameterizedTest
  @CsvSource({
    "model.gguf, GGUF",
    "pytorch_model.bin, PyTorch",
    "consolidated.00.pth, PyTorch",
    "weights.npz, MLX",
    "tf_model.h5, TensorFlow",
    "flax_model.msgpack, Flax",
    "model.onnx, ONNX",
    "Model.ZIP, archive",
    "model.tar.gz, archive"
  })
  void namesFormatsThatAreNotRead(String name, String format) throws IOException {
    Path file = Files.writeString(folder.resolve(name), "anything");
    for (Path path : new Path[] {folder, file})
      refused(path)
          .isInstanceOf(UnsupportedFormatException.class)
          .hasMessageStartingWith(path + ": ")
          .hasMessageContaining(format);
    assertThatThrownBy(() -> ModelReport.of(folder))
        .isInstanceOf(UnsupportedFormatException.class)
        .hasMessageContaining(name);
  }

  @Test
  void namesFormatsByTheirContents() throws IOException {
    refused(Files.writeString(folder.resolve("blob"), "GGUF\3")).hasMessageContaining("GGUF");
    refused(Files.writeString(folder.resolve("other"), "PK\3\4")).hasMessageContaining("zip");
    refused(Goldens.kjvMoe().resolve("tokenizer.json"))
        .isInstanceOf(CheckpointException.class)
        .hasMessageEndingWith("expected the folder of a checkpoint, found a file: JSON");
    Files.writeString(folder.resolve("model.safetensors"), "<!DOCTYPE html><html>Log in</html>");
    assertThatThrownBy(() -> Safetensors.open(folder)).hasMessageContaining("found a web page");
  }

  /** Quantised by MLX; its configuration names no method. */
  @Test
  void namesWeightsOfMlx() throws IOException {
    String config = Files.readString(Goldens.folder("mixtral").resolve("config.json"));
    String values = "{\"group_size\": 64, \"bits\": 4},";
    Files.writeString(
        folder.resolve("config.json"),
        config.replaceFirst(
            "\\{", "{\"quantization\":" + values + "\"quantization_config\":" + values));
    new SafetensorsFile()
        .add("model.embed_tokens.weight", "U32", 512, 8)
        .add("model.embed_tokens.scales", "BF16", 512, 1)
        .add("model.embed_tokens.biases", "BF16", 512, 1)
        .write(folder.resolve("model.safetensors"));
    assertThatThrownBy(() -> LanguageModel.open(folder, LoadOptions.defaults()))
        .isInstanceOf(UnsupportedFormatException.class)
        .hasMessageContaining("quantised weights (MLX) are not supported yet");
    assertThat(ModelReport.of(folder).formats())
        .containsExactly(new ModelReport.Format("MLX", 3, 512 * 36, false));
    assertThat(ModelReport.of(folder).parameters()).isEqualTo(512 * 64);
  }

  /** Weights are read with the operating system's calls, which a zip file system does not have. */
  @Test
  void refusesOtherFileSystems() throws IOException {
    URI zip = URI.create("jar:" + folder.resolve("model.zip").toUri());
    try (FileSystem files = FileSystems.newFileSystem(zip, Map.of("create", "true"))) {
      Files.writeString(files.getPath("/config.json"), "{}");
      for (String path : new String[] {"/", "/config.json"})
        refused(files.getPath(path))
            .isInstanceOf(UnsupportedFormatException.class)
            .hasMessageContaining("file system jar");
    }
    refused(folder.resolve("model.zip/model.safetensors"))
        .hasMessageContaining("model.zip is a file: an archive");
  }

  @Test
  void namesWhatAFolderHoldsInstead() throws IOException {
    refused(folder).hasMessageEndingWith("found neither");
    Path inner = Files.createDirectory(folder.resolve("Tiny-8B"));
    Files.createFile(inner.resolve("model.safetensors"));
    refused(folder).hasMessageContaining("checkpoints in folders of it (Tiny-8B)");
    Files.createFile(folder.resolve("adapter_config.json"));
    Files.createFile(folder.resolve("adapter_model.safetensors"));
    refused(folder)
        .hasMessageContaining("an adapter (adapter_config.json)")
        .hasMessageContaining("other names (adapter_model.safetensors)");
    Files.createFile(folder.resolve("model_index.json"));
    refused(folder).hasMessageContaining("diffusers");
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "model.safetensors",
        "model.safetensors.index.json",
        "config.json",
        "tokenizer.json"
      })
  void namesPointersOfGitLfs(String name) throws IOException {
    Path kjv = Goldens.kjvMoe();
    for (String file : new String[] {"model.safetensors", "config.json", "tokenizer.json"})
      Files.createSymbolicLink(folder.resolve(file), kjv.resolve(file));
    Files.deleteIfExists(folder.resolve(name));
    if (name.endsWith("index.json")) Files.delete(folder.resolve("model.safetensors"));
    Files.writeString(
        folder.resolve(name),
        "version https://git-lfs.github.com/spec/v1\noid sha256:"
            + "a".repeat(64)
            + "\nsize 4976698672\n");
    assertThatThrownBy(() -> LanguageModel.open(folder, LoadOptions.defaults()))
        .isInstanceOf(CheckpointException.class)
        .hasMessageContaining(name)
        .hasMessageContaining("a Git LFS pointer to a file of 4976698672 bytes")
        .hasMessageContaining("git lfs pull");
  }

  @Test
  void namesLinksThatLeadNowhere() throws IOException {
    Path model = snapshot("models--org--half", COMMIT);
    Path link = model.resolve("snapshots/" + COMMIT + "/model.safetensors");
    Files.delete(link);
    Files.createSymbolicLink(link, Path.of("../../blobs/1234"));
    for (Path path : new Path[] {model, link.getParent()})
      assertThatThrownBy(() -> Safetensors.open(path))
          .isInstanceOf(CheckpointException.class)
          .hasMessageContaining(link.toString())
          .hasMessageContaining("found a link to " + model.resolve("blobs/1234"));
    Files.createFile(model.resolve("blobs/1234.incomplete"));
    assertThatThrownBy(() -> Safetensors.open(model))
        .hasMessageContaining("1234.incomplete is of a download that did not finish");
    refused(Files.createSymbolicLink(folder.resolve("gone"), Path.of("nowhere")))
        .hasMessageContaining("found a link to " + folder.resolve("nowhere"));
  }

  @Test
  void opensTheSnapshotThatMainNames() throws IOException {
    Path model = snapshot("models--org--tiny", COMMIT);
    Path expected = model.resolve("snapshots").resolve(COMMIT);
    assertThat(ModelFolder.resolve(model)).isEqualTo(expected);
    assertThat(ModelFolder.resolve(model.resolve("snapshots"))).isEqualTo(expected);
    snapshot("models--org--tiny", OTHER);
    refused(model)
        .hasMessageContaining("expected refs/main, or one snapshot")
        .hasMessageContaining(COMMIT + ", " + OTHER);
    Files.createDirectory(model.resolve("refs"));
    Files.writeString(model.resolve("refs/main"), OTHER + "\n");
    assertThat(ModelFolder.resolve(model)).isEqualTo(model.resolve("snapshots").resolve(OTHER));
    for (String wrong : new String[] {"abc", "..", "../blobs", "", "a\0b", "x".repeat(300)}) {
      Files.writeString(model.resolve("refs/main"), wrong);
      refused(model).hasMessageContaining("expected the name of one of the snapshots " + COMMIT);
    }
  }

  @Test
  void findsModelsByTheirNameOnTheHub() throws IOException {
    Path model = snapshot("models--org--tiny", COMMIT);
    HubCache cache = new HubCache(folder, "HF_HUB_CACHE");
    Path expected = model.resolve("snapshots").resolve(COMMIT);
    for (String name :
        new String[] {
          "org/tiny",
          "org/tiny@0123",
          "org/tiny@" + COMMIT,
          "https://huggingface.co/org/tiny",
          "https://huggingface.co/org/tiny/tree/" + COMMIT,
          "hf://org/tiny"
        }) assertThat(ModelFolder.resolve(Path.of(name), cache)).as(name).isEqualTo(expected);
    Files.createDirectories(model.resolve("refs/refs/pr"));
    Files.writeString(model.resolve("refs/refs/pr/1"), COMMIT);
    assertThat(ModelFolder.resolve(Path.of("org/tiny@refs/pr/1"), cache)).isEqualTo(expected);
    assertThatThrownBy(() -> ModelFolder.resolve(Path.of("org/tiny@v2"), cache))
        .isInstanceOf(CheckpointException.class)
        .hasMessageContaining("expected a ref or one snapshot v2, found the snapshots " + COMMIT);
    for (String absent : new String[] {"org/absent", "absent", "https://huggingface.co/org/absent"})
      assertThatThrownBy(() -> ModelFolder.resolve(Path.of(absent), cache))
          .isInstanceOf(CheckpointException.class)
          .hasMessageContaining(" in " + folder + " (HF_HUB_CACHE); Winnow does not download");
    assertThatThrownBy(() -> ModelFolder.resolve(Path.of("s3://bucket/model"), cache))
        .hasMessageContaining("Winnow does not download");
    assertThatThrownBy(() -> ModelFolder.resolve(Path.of("a/b/c"), cache))
        .hasMessageEndingWith("found nothing there");
  }

  /** As {@code huggingface_hub} decides it. */
  @ParameterizedTest
  @CsvSource({
    "HF_HUB_CACHE=/a HUGGINGFACE_HUB_CACHE=/b HF_HOME=/c XDG_CACHE_HOME=/d, /a, HF_HUB_CACHE",
    "HUGGINGFACE_HUB_CACHE=/b HF_HOME=/c XDG_CACHE_HOME=/d, /b, HUGGINGFACE_HUB_CACHE",
    "HF_HOME=/c XDG_CACHE_HOME=/d, /c/hub, HF_HOME",
    "HF_HOME=~/c, /home/me/c/hub, HF_HOME",
    "HF_HOME=$SCRATCH/${USER} SCRATCH=/s USER=me, /s/me/hub, HF_HOME",
    "XDG_CACHE_HOME=/d, /d/huggingface/hub, XDG_CACHE_HOME",
    "OTHER=1, /home/me/.cache/huggingface/hub, default"
  })
  void findsTheCache(String variables, String expected, String source) {
    HubCache cache =
        HubCache.of(
            name -> {
              for (String variable : variables.split(" ")) {
                if (variable.startsWith(name + "=")) return variable.substring(name.length() + 1);
              }
              return null;
            },
            "/home/me");
    assertThat(cache).isEqualTo(new HubCache(Path.of(expected), source));
  }

  /** A model in a cache, with one snapshot of empty files. */
  private Path snapshot(String name, String commit) throws IOException {
    Path model = folder.resolve(name);
    Path snapshot = Files.createDirectories(model.resolve("snapshots").resolve(commit));
    Files.createDirectories(model.resolve("blobs"));
    Files.createFile(snapshot.resolve("config.json"));
    Files.createFile(snapshot.resolve("model.safetensors"));
    return model;
  }

  private static AbstractThrowableAssert<?, ? extends Throwable> refused(Path path) {
    return assertThatThrownBy(() -> ModelFolder.folder(path));
  }
}
