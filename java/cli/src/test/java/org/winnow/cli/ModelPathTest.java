package org.winnow.cli;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

/** What the commands take for a model, and what they say where there is none. */
class ModelPathTest {
  private static final Path MIXTRAL = Shipped.golden("mixtral");

  @TempDir Path folder;

  @Test
  void aModelOfTheHubIsFoundByItsName() throws Exception {
    Path model = folder.resolve("models--org--tiny");
    Path snapshot = Files.createDirectories(model.resolve("snapshots/abc"));
    Files.writeString(Files.createDirectory(model.resolve("refs")).resolve("main"), "abc");
    for (String name : new String[] {"config.json", "model.safetensors"})
      Files.createSymbolicLink(snapshot.resolve(name), MIXTRAL.resolve(name));
    assertThat(output(0, "inspect", "org/tiny")).contains("org/tiny", "mixtral", "can run it");
    assertThat(output(0, "generate", "org/tiny@abc", "--prompt-ids", "1", "--max-tokens", "1"))
        .contains("1 token");
    assertThat(output(ExitCode.BAD_INPUT, "generate", "org/other", "--prompt-ids", "1"))
        .contains(
            "no models--org--other in " + folder + " (HF_HUB_CACHE); Winnow does not download");
  }

  private String output(int exitCode, String... arguments) throws Exception {
    ProcessBuilder builder =
        CommandProcess.of(List.of(), List.of(arguments)).redirectErrorStream(true);
    builder.environment().put("HF_HUB_CACHE", folder.toString());
    Process process = builder.start();
    String output = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
    assertThat(process.waitFor()).as(output).isEqualTo(exitCode);
    return output;
  }

  static Stream<Arguments> commands() {
    return Stream.of(
        Arguments.of("inspect", List.of()),
        Arguments.of("generate", List.of("--prompt-ids", "1")),
        Arguments.of("verify", List.of(MIXTRAL.resolve("golden.safetensors"))),
        Arguments.of("perplexity", List.of(Shipped.MODEL.resolve("heldout.txt"))));
  }

  @ParameterizedTest
  @MethodSource("commands")
  void everyCommandNamesWhatIsThereInstead(String command, List<?> rest) throws IOException {
    Files.copy(MIXTRAL.resolve("config.json"), folder.resolve("config.json"));
    Path weights = folder.resolve("model.safetensors");
    Files.writeString(
        weights,
        "version https://git-lfs.github.com/spec/v1\noid sha256:" + "a".repeat(64) + "\nsize 47\n");
    refuses(command, rest, weights + ": expected the file itself, found a Git LFS pointer");
    Files.delete(weights);
    Files.createSymbolicLink(weights, Path.of("blobs/absent"));
    refuses(command, rest, weights + ": expected a file, found a link to ");
    Files.delete(weights);
    Files.createFile(folder.resolve("pytorch_model.bin"));
    refuses(command, rest, "PyTorch (pytorch_model.bin)");
    Files.createFile(folder.resolve("model-q4.gguf"));
    refuses(command, rest, "GGUF (llama.cpp) (model-q4.gguf)");
  }

  private void refuses(String command, List<?> rest, String message) {
    CapturedRun run =
        CapturedRun.of(Stream.concat(Stream.of(command, folder), rest.stream()).toArray());
    assertThat(run.exitCode()).as(run.err()).isEqualTo(ExitCode.BAD_INPUT);
    assertThat(run.err().lines()).singleElement().asString().contains(message);
  }
}
